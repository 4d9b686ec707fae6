// An OpenID provider on loopback, made of the npm package `oidc-provider`.
// Arguments: the folder whose node_modules has it, and a JSON file:
//   {issuer, port, clients, jwks, users: {id: claims}, more: {…options of the package}}
// People sign in by a POST to the interaction page: `user=alice`, or `deny=1`.
import {readFileSync} from 'node:fs';
import {createServer} from 'node:http';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';

const [folder, file] = process.argv.slice(2);
const entry = join(folder, 'node_modules', 'oidc-provider', 'lib', 'index.js');
const {Provider} = await import(pathToFileURL(entry));
const asked = JSON.parse(readFileSync(file, 'utf8'));
const base = new URL(asked.issuer).pathname.replace(/\/$/, '');

const provider = new Provider(asked.issuer, {
  clients: asked.clients,
  jwks: asked.jwks,
  cookies: {keys: ['for tests']},
  scopes: ['openid', 'email', 'profile', 'groups'],
  claims: {
    openid: ['sub'],
    email: ['email', 'email_verified'],
    profile: ['name', 'preferred_username'],
    groups: ['groups'],
  },
  pkce: {required: () => true},
  features: {devInteractions: {enabled: false}},
  interactions: {url: (_context, interaction) => `${base}/interaction/${interaction.uid}`},
  findAccount: (_context, id) =>
    asked.users[id] && {accountId: id, claims: () => ({sub: id, ...asked.users[id]})},
  ...asked.more,
});

async function form(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return new URLSearchParams(Buffer.concat(parts).toString());
}

async function agreed(details) {
  const {Grant} = provider;
  const accountId = details.session.accountId;
  const grant = (details.grantId && (await Grant.find(details.grantId))) ||
    new Grant({accountId, clientId: details.params.client_id});
  grant.addOIDCScope((details.prompt.details.missingOIDCScope ?? []).join(' '));
  grant.addOIDCClaims(details.prompt.details.missingOIDCClaims ?? []);
  return {consent: {grantId: await grant.save()}};
}

async function interaction(request, response) {
  const details = await provider.interactionDetails(request, response);
  if (request.method !== 'POST') return response.end(details.prompt.name);
  const filled = await form(request);
  let result;
  if (filled.has('deny')) result = {error: 'access_denied', error_description: 'The person said no'};
  else if (details.prompt.name === 'login') result = {login: {accountId: filled.get('user')}};
  else result = await agreed(details);
  return provider.interactionFinished(request, response, result, {
    mergeWithLastSubmission: !filled.has('deny'),
  });
}

const rest = provider.callback();
const server = createServer((request, response) => {
  if (base && request.url.startsWith(`${base}/`)) {
    request.originalUrl = request.url;
    request.url = request.url.slice(base.length);
  }
  if (!request.url.startsWith('/interaction/')) return rest(request, response);
  return interaction(request, response).catch((error) => {
    console.error(error);
    response.statusCode = 500;
    response.end(String(error));
  });
});
provider.on('server_error', (_context, error) => console.error(error));
server.listen(asked.port, '127.0.0.1', () => console.log('listening'));
process.on('SIGTERM', () => process.exit(0));
