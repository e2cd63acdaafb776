/** Credentials for a registry. */

export interface Password {
  readonly username: string;
  readonly password: string;
}
/** Not a password but an OAuth 2 refresh token, with which access tokens are requested. */
interface IdentityToken {
  readonly identityToken: string;
}

/** `source` says where they come from, for messages. */
export type Credentials = (Password | IdentityToken) & { readonly source: string };
