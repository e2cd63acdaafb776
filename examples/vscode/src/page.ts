/** Pages in the editor's webviews: one script and the style of media/, and nothing from elsewhere. */
import { Uri, type Webview } from "vscode";

/** Gives a webview its page, and calls `listener` with what the page sends. */
export function openPage<Message>(
  webview: Webview,
  { root, script }: { readonly root: Uri; readonly script: string },
  listener: (message: Message) => void,
): void {
  const media = Uri.joinPath(root, "media");
  const at = (name: string) => webview.asWebviewUri(Uri.joinPath(media, name)).toString();
  webview.options = { enableScripts: true, localResourceRoots: [media] };
  webview.onDidReceiveMessage(listener);
  const policy = `default-src 'none'; style-src ${webview.cspSource}; script-src ${webview.cspSource}`;
  webview.html = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<link rel="stylesheet" href="${at("page.css")}">
</head>
<body><main></main><script src="${at(script)}"></script></body>
</html>`;
}
