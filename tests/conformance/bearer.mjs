// Loaded with --import: gives the suite's requests to one origin a bearer token, for which it has no option.
// It uses three HTTP clients: fetch, its own undici (both ask the global dispatcher) and node:http.
import { realpathSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";

const token = process.env.CONFORMANCE_TOKEN;
const origin = process.env.CONFORMANCE_ORIGIN;

function authorized(headers) {
  const field = ["authorization", `Bearer ${token}`];
  if (Array.isArray(headers)) return [...headers, ...field]; // flat: name, value, name, value
  const iterable = headers != null && typeof headers[Symbol.iterator] === "function";
  const known = iterable ? Object.fromEntries(headers) : (headers ?? {});
  return { ...known, [field[0]]: field[1] };
}

if (token && process.argv[1]) {
  const { Agent, setGlobalDispatcher } = createRequire(realpathSync(process.argv[1]))("undici");
  setGlobalDispatcher(
    new Agent().compose((dispatch) => (options, handler) => {
      const ours = String(options.origin) === origin;
      return dispatch(ours ? { ...options, headers: authorized(options.headers) } : options, handler);
    }),
  );
  const request = http.request;
  http.request = function (...words) {
    const options = words.find((word) => word && typeof word === "object" && !(word instanceof URL));
    const at = typeof words[0] === "string" ? new URL(words[0]) : words[0];
    const target =
      at instanceof URL ? at.origin : `http://${options?.hostname ?? options?.host}:${options?.port}`;
    if (options && target === origin) options.headers = authorized(options.headers);
    return request.apply(this, words);
  };
}
