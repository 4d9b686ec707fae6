// How the TypeScript client driver signs in; see sign_in.py.
import {execFile} from 'node:child_process';
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {promisify} from 'node:util';

const run = promisify(execFile);
const REDIRECT_URI = 'http://127.0.0.1:9/callback';

// An OAuthClientProvider of either SDK; `came` are the parameters that it was sent back with.
export class SignIn {
  came = undefined;

  constructor({name, kept, browser, grants, document_url}, emit) {
    this.clientMetadata = {
      client_name: name,
      redirect_uris: [REDIRECT_URI],
      grant_types: grants,
      response_types: ['code'],
    };
    this.redirectUrl = REDIRECT_URI;
    this.clientMetadataUrl = document_url ?? undefined;
    this.file = kept;
    this.browser = browser;
    this.emit = emit;
  }

  read() {
    return existsSync(this.file) ? JSON.parse(readFileSync(this.file, 'utf8')) : {};
  }

  write(name, value) {
    writeFileSync(this.file, JSON.stringify({...this.read(), [name]: value}));
  }

  state() {
    return this.expected ??= crypto.randomUUID();
  }

  clientInformation() {
    return this.read().client;
  }

  saveClientInformation(client) {
    this.write('client', client);
  }

  tokens() {
    return this.read().tokens;
  }

  saveTokens(tokens) {
    this.write('tokens', tokens);
  }

  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }

  codeVerifier() {
    return this.verifier;
  }

  invalidateCredentials(what) {
    if (what === 'all' || what === 'tokens') this.write('tokens', undefined);
    if (what === 'all' || what === 'client') this.write('client', undefined);
  }

  async redirectToAuthorization(url) {
    const [program, ...words] = this.browser;
    const {stdout} = await run(program, [...words, String(url)]);
    this.came = new URL(stdout.trim()).searchParams;
    this.emit('came', {came: Object.fromEntries(this.came)});
    if (this.came.get('state') !== this.state()) throw new Error('another state came back');
  }
}

// Connects a client; a person may have to sign in before. False if they said no.
export async function connect(client, transportOf, signIn, sdk) {
  let transport = transportOf();
  try {
    await client.connect(transport);
  } catch (error) {
    if (!signIn?.came) throw error;
    if (sdk === 1 && signIn.came.has('error')) return undefined; // it takes a code alone
    try {
      await transport.finishAuth(sdk === 1 ? signIn.came.get('code') : signIn.came);
    } catch (refused) {
      if (refused.code !== 'access_denied') throw refused;
      return undefined;
    }
    transport = transportOf();
    await client.connect(transport);
    signIn.came = undefined;
  }
  return transport;
}

// Asks; if the person had to agree to more first, goes on with what came of it, and asks once more.
export async function steppingUp(ask, transport, signIn, sdk) {
  try {
    return await ask();
  } catch (error) {
    const came = signIn?.came;
    if (!came) throw error;
    signIn.came = undefined;
    if (sdk === 1 && came.has('error')) throw new Error(came.get('error')); // it takes a code alone
    await transport.finishAuth(sdk === 1 ? came.get('code') : came);
    return await ask();
  }
}
