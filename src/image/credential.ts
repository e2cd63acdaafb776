/** What a registry is asked with. */

export interface Password {
  readonly username: string;
  readonly password: string;
}
/** Not a password, but what tokens are got for (OAuth 2's refresh token). */
interface IdentityToken {
  readonly identityToken: string;
}

/** `source` says where they come from, for people. */
export type Credentials = (Password | IdentityToken) & { readonly source: string };
