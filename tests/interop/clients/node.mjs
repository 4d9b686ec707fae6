// Client driver: the TypeScript SDKs. Input and output are those of scenario.py; `sdk` is 1 or 2.
// The folder whose node_modules has the SDKs is the first argument.
import {createRequire} from 'node:module';
import {SignIn, connect, steppingUp} from './sign_in.mjs';

const require = createRequire(`${process.argv[2]}/`);
const asked = JSON.parse(await text(process.stdin));
const RETRY_S = 0.1;
const POLL_S = 0.01;
const LOG_LEVEL = {'io.modelcontextprotocol/logLevel': 'info'};

const SAMPLE = {
  role: 'assistant', model: 'a-model', content: {type: 'text', text: 'Ada dreams'}, stopReason: 'endTurn',
};
const ROOTS = {roots: [{uri: 'file:///home/ada', name: 'home of Ada'}]};

let now = -1;
const seen = {};

async function text(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
}

function emit(event, fields = {}, step = now) {
  seen[event] = (seen[event] ?? 0) + 1;
  const t = Number(process.hrtime.bigint()) / 1e9;
  process.stdout.write(JSON.stringify({t, step, event, ...fields}) + '\n');
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

function sdk() {
  if (asked.sdk !== 1) return require('@modelcontextprotocol/client');
  const client = require('@modelcontextprotocol/sdk/client/index.js');
  const types = require('@modelcontextprotocol/sdk/types.js');
  const transports = ['streamableHttp', 'sse'].map((name) => require(`@modelcontextprotocol/sdk/client/${name}.js`));
  return Object.assign({}, client, types, ...transports);
}

function filledIn(field) {
  if ('default' in field) return field.default;
  if ('enum' in field) return field.enum[0];
  return {boolean: true, integer: 7, number: 7}[field.type] ?? 'Ada';
}

function answerTo({method, params = {}}) {
  emit('asked', {method, params});
  if (method === 'sampling/createMessage') return SAMPLE;
  if (method === 'roots/list') return ROOTS;
  const {required, properties} = params.requestedSchema;
  const content = {};
  for (const name of required?.length ? required : Object.keys(properties)) content[name] = filledIn(properties[name]);
  return {action: 'accept', content};
}

function told({method, params = {}}) {
  if (method === 'notifications/message') emit('log', params);
  else if (method === 'notifications/resources/updated') emit('updated', {uri: params.uri});
  else {
    const what = method.split('/')[1];
    seen[`changed ${what}`] = (seen[`changed ${what}`] ?? 0) + 1;
    emit('changed', {what});
  }
}

// Each method and its schema in the first SDK; the second goes by the method.
const QUESTIONS = {
  'elicitation/create': 'ElicitRequestSchema',
  'sampling/createMessage': 'CreateMessageRequestSchema',
  'roots/list': 'ListRootsRequestSchema',
};
const NEWS = {
  'notifications/message': 'LoggingMessageNotificationSchema',
  'notifications/resources/updated': 'ResourceUpdatedNotificationSchema',
  'notifications/tools/list_changed': 'ToolListChangedNotificationSchema',
  'notifications/prompts/list_changed': 'PromptListChangedNotificationSchema',
  'notifications/resources/list_changed': 'ResourceListChangedNotificationSchema',
};

function listenTo(client, library) {
  const named = (table, method) => (asked.sdk === 1 ? library[table[method]] : method);
  for (const method of Object.keys(QUESTIONS)) client.setRequestHandler(named(QUESTIONS, method), answerTo);
  for (const method of Object.keys(NEWS)) client.setNotificationHandler(named(NEWS, method), told);
}

const LISTS = {
  tools: ['listTools', 'tools'],
  prompts: ['listPrompts', 'prompts'],
  resources: ['listResources', 'resources'],
  templates: ['listResourceTemplates', 'resourceTemplates'],
};

async function listAll(client, what) {
  const [method, member] = LISTS[what];
  const items = [];
  let cursor;
  do {
    const page = await client[method](cursor === undefined ? {} : {cursor});
    items.push(...page[member]);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
}

const isModern = (client) => (client.getNegotiatedProtocolVersion?.() ?? '') >= '2026';

async function call(client, step) {
  const params = {name: step.name, arguments: step.arguments ?? {}};
  if (isModern(client)) params._meta = LOG_LEVEL;
  const options = {
    signal: step.cancel_after_s === undefined ? undefined : AbortSignal.timeout(step.cancel_after_s * 1000),
    onprogress: ({progress, total, message}) => emit('progress', {progress, total, message}),
  };
  emit('started');
  try {
    const args = asked.sdk === 1 ? [params, undefined, options] : [params, options];
    const result = await steppingUp(() => client.callTool(...args), transport, signIn, asked.sdk);
    emit('result', {result});
    return !result.isError && JSON.stringify(result).includes(step.until_text ?? '');
  } catch (error) {
    if (options.signal?.aborted) {
      emit('cancelled');
      return true;
    }
    emit('error', {code: error.code, message: error.message, data: error.data});
    return false;
  }
}

const ASK = {
  get: (client, step) => client.getPrompt({name: step.name, arguments: step.arguments ?? {}}),
  read: (client, step) => client.readResource({uri: step.uri}),
  complete: (client, {ref, argument, context}) =>
    client.complete({ref, argument, ...(context && {context: {arguments: context}})}),
  subscribe: async (client, {uri}) =>
    void (await (isModern(client) ? client.listen({resourceSubscriptions: [uri]}) : client.subscribeResource({uri}))),
  listen: async (client) =>
    void (isModern(client) && (await client.listen({toolsListChanged: true, promptsListChanged: true}))),
  level: async (client, {level}) => void (isModern(client) || (await client.setLoggingLevel(level))),
};

async function ask(client, step) {
  emit('started');
  try {
    if (step.do === 'list') {
      const what = step.what ?? 'tools';
      emit(what, {items: await listAll(client, what)});
    } else emit('result', {result: (await ASK[step.do](client, step)) ?? {}});
  } catch (error) {
    emit('error', {code: error.code, message: error.message, data: error.data});
  }
}

async function wait(event, timeoutS) {
  const deadline = performance.now() + timeoutS * 1000;
  while (!seen[event] && performance.now() < deadline) await pause(POLL_S);
  emit('waited', {found: Boolean(seen[event])});
}

async function callUntilOk(client, step) {
  const deadline = performance.now() + (step.until_ok_s ?? 0) * 1000;
  while (!(await call(client, step)) && performance.now() < deadline) await pause(RETRY_S);
}

async function runSteps(client) {
  for (const [index, step] of asked.steps.entries()) {
    now = index;
    if (step.do === 'pause') await pause(step.seconds);
    else if (step.do === 'wait') await wait(step.for, step.timeout_s);
    else if (step.do === 'call') await callUntilOk(client, step);
    else await ask(client, step);
  }
  emit('done', {}, asked.steps.length);
}

const library = sdk();
const headers = asked.token ? {Authorization: `Bearer ${asked.token}`} : {};
const signIn = asked.sign_in && new SignIn(asked.sign_in, emit);
const isOld = asked.url.endsWith('/sse');
const Transport = isOld ? library.SSEClientTransport : library.StreamableHTTPClientTransport;
const transportOf = () => new Transport(new URL(asked.url), {requestInit: {headers}, authProvider: signIn});
const client = new library.Client(
  {name: 'interop', version: '1'},
  {versionNegotiation: {mode: asked.mode}, capabilities: {elicitation: {}, sampling: {}, roots: {}}},
);
listenTo(client, library);
const transport = await connect(client, transportOf, signIn, asked.sdk);
if (transport) {
  const agreed = client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion ?? transport._protocolVersion;
  emit('connected', {protocol: agreed});
  await runSteps(client);
  if (!isOld) await transport.terminateSession();
  await client.close();
} else emit('done');
