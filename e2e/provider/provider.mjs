// A certified OpenID provider for tests, on HTTPS: oidc-provider with its own pages for development, which let anybody in by any name.
// A person's groups are the words after the name, as in "ann+ops+dev". Commands come on stdin, a line each, and are answered on stdout:
//
//   rotate    signs by a new key, and publishes that one alone
//   ttl N     ID tokens live for N seconds from now on
//   clock N   the provider's clock is N seconds ahead
//   pages URL the pages that people sign in to come back to this
//   secret S  the confidential clients of those pages have this secret
import { createServer } from 'node:https';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const [cert, key] = process.argv.slice(2);
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) });
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `https://127.0.0.1:${server.address().port}`;

let ttl = 3600;
let ahead = 0;
const now = Date.now;
Date.now = () => now() + ahead * 1000;

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

const person = 'authorization_code refresh_token urn:ietf:params:oauth:grant-type:device_code'.split(' ');
const pages = { client_id: 'pages', token_endpoint_auth_method: 'none', grant_types: person.slice(0, 2), response_types: ['code'], redirect_uris: ['https://hub.example.com/signin'] };
const web = ['client_secret_basic', 'client_secret_post'].map((method) => ({ ...pages, client_id: method, client_secret: 'first', token_endpoint_auth_method: method }));
const clients = [
  pages, ...web,
  { client_id: 'yardarm', token_endpoint_auth_method: 'none', application_type: 'native', grant_types: person, response_types: ['code'], redirect_uris: ['http://127.0.0.1/callback'] },
  { client_id: 'another', token_endpoint_auth_method: 'none', application_type: 'native', grant_types: person, response_types: ['code'], redirect_uris: ['http://127.0.0.1/callback'] },
  { client_id: 'acme/web', client_secret: 'job', grant_types: ['client_credentials'], response_types: [], redirect_uris: [] },
  { client_id: 'mallory/web', client_secret: 'job', grant_types: ['client_credentials'], response_types: [], redirect_uris: [] },
];

// What a job asks a token for is its audience, as on GitHub and GitLab.
const resourceIndicators = {
  enabled: true,
  defaultResource: () => undefined,
  getResourceServerInfo: (_, audience) => ({ audience, scope: '', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } }),
};

// What a hub read before a client is changed has to count afterwards: it reads keys at most every five seconds.
let jwks = { keys: [newKey()] };

function newProvider() {
  const provider = new Provider(issuer, {
    clients,
    jwks,
    cookies: { keys: [randomUUID()] },
    conformIdTokenClaims: false,
    claims: { openid: ['sub', 'groups'], email: ['email', 'email_verified'], profile: ['name'] },
    findAccount: (_, id) => {
      const [name, ...groups] = id.split('+');
      return { accountId: id, claims: () => ({ sub: id, name, groups, email: `${name}@example.com`, email_verified: true }) };
    },
    extraTokenClaims: (_, token) => ({ repository: token.clientId, repository_owner: token.clientId?.split('/')[0] }),
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators,
    },
    ttl: { IdToken: () => ttl, AccessToken: () => ttl, ClientCredentials: () => ttl },
  });
  return provider.callback();
}

let handle = newProvider();
server.on('request', (req, res) => handle(req, res));
console.log(issuer);

for await (const line of createInterface({ input: process.stdin })) {
  const [command, value] = line.split(' ');
  if (command === 'rotate') {
    jwks = { keys: [newKey()] };
    handle = newProvider();
  }
  if (command === 'ttl') ttl = Number(value);
  if (command === 'clock') ahead = Number(value);
  if (command === 'pages') {
    for (const client of [pages, ...web]) client.redirect_uris = [value];
    handle = newProvider();
  }
  if (command === 'secret') {
    for (const client of web) client.client_secret = value;
    handle = newProvider();
  }
  console.log('done');
}
process.exit(0);
