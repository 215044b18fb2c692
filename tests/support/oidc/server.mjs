// A certified authorisation server (oidc-provider) on 127.0.0.1, for the tests of logins: node server.mjs NODE_MODULES
// It prints its address, and then a line for each thing that happens to a grant.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const modules = process.argv[2];
const { default: Provider } = await import(pathToFileURL(createRequire(join(modules, "x.js")).resolve("oidc-provider")).href);

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: "pup-at-oidc",
      application_type: "native",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
      response_types: ["code"],
      redirect_uris: ["http://localhost/callback"],
    }],
    pkce: { required: () => true },
    scopes: ["openid", "email", "offline_access"],
    claims: { openid: ["sub"], email: ["email"] },
    conformIdTokenClaims: false,
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com` }) }),
    rotateRefreshToken: true,
    issueRefreshToken: () => true,
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
    },
    ttl: {
      AccessToken: () => Number(process.env.TOKEN_SECONDS ?? 3600), AuthorizationCode: 60, DeviceCode: 60, Grant: 3600, IdToken: 3600, Interaction: 600, RefreshToken: 3600, Session: 600,
    },
    cookies: { keys: ["not a secret"] },
    jwks: undefined,
  });
  for (const event of ["grant.success", "grant.error", "grant.revoked", "refresh_token.consumed", "access_token.destroyed", "refresh_token.destroyed"]) {
    provider.on(event, (_a, b) => console.log(event, b?.error ?? ""));
  }
  server.on("request", provider.callback());
  console.log(issuer);
});
