// Client driver: the TypeScript SDKs. Input and output are those of scenario.py; `sdk` is 1 or 2.
// The folder whose node_modules has the SDKs is the first argument.
import {createRequire} from 'node:module';

const require = createRequire(`${process.argv[2]}/`);
const asked = JSON.parse(await text(process.stdin));
const RETRY_S = 0.1;

async function text(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

function emit(step, event, fields = {}) {
  const t = Number(process.hrtime.bigint()) / 1e9;
  process.stdout.write(JSON.stringify({t, step, event, ...fields}) + '\n');
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

function sdk() {
  if (asked.sdk !== 1) return require('@modelcontextprotocol/client');
  const client = require('@modelcontextprotocol/sdk/client/index.js');
  return {...client, ...require('@modelcontextprotocol/sdk/client/streamableHttp.js')};
}

async function listAll(client) {
  const tools = [];
  let cursor;
  do {
    const page = await client.listTools(cursor === undefined ? undefined : {cursor});
    tools.push(...page.tools);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return tools;
}

async function call(client, index, step) {
  const params = {name: step.name, arguments: step.arguments ?? {}};
  const options = {
    signal: step.cancel_after_s === undefined ? undefined : AbortSignal.timeout(step.cancel_after_s * 1000),
    onprogress: ({progress, total, message}) => emit(index, 'progress', {progress, total, message}),
  };
  emit(index, 'started');
  try {
    const args = asked.sdk === 1 ? [params, undefined, options] : [params, options];
    const result = await client.callTool(...args);
    emit(index, 'result', {result});
    return !result.isError;
  } catch (error) {
    if (options.signal?.aborted) {
      emit(index, 'cancelled');
      return true;
    }
    emit(index, 'error', {code: error.code, message: error.message, data: error.data});
    return false;
  }
}

async function runSteps(client) {
  for (const [index, step] of asked.steps.entries()) {
    if (step.do === 'list') emit(index, 'tools', {tools: await listAll(client)});
    else if (step.do === 'pause') await pause(step.seconds);
    else {
      const deadline = performance.now() + (step.until_ok_s ?? 0) * 1000;
      while (!(await call(client, index, step)) && performance.now() < deadline) await pause(RETRY_S);
    }
  }
  emit(asked.steps.length, 'done');
}

const {Client, StreamableHTTPClientTransport} = sdk();
const headers = asked.token ? {Authorization: `Bearer ${asked.token}`} : {};
const transport = new StreamableHTTPClientTransport(new URL(asked.url), {requestInit: {headers}});
const client = new Client({name: 'interop', version: '1'}, {versionNegotiation: {mode: asked.mode}});
await client.connect(transport);
emit(-1, 'connected', {protocol: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion});
await runSteps(client);
await transport.terminateSession();
await client.close();
