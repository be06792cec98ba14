import http from "node:http";
import { page } from "./page.js";

const API_URL = process.env.API_URL;
const PORT = Number(process.env.PORT || 3000);
const DOWN = { api: false, database: false, cache: false, worker: false };

if (!API_URL || !URL.canParse(API_URL)) {
  console.error("API_URL must be the address of the api, http://api:8000 for example");
  process.exit(1);
}

function ask(path, options) {
  return fetch(new URL(path, API_URL), { signal: AbortSignal.timeout(25_000), ...options });
}

/** The JSON that the api answers with, an error status included, or `otherwise` when it does not answer. */
async function read(path, otherwise) {
  try {
    const answer = await ask(path);
    return answer.headers.get("content-type")?.startsWith("application/json") ? await answer.json() : otherwise;
  } catch (error) {
    console.error(`${path}: ${error.cause?.message ?? error.message}`);
    return otherwise;
  }
}

async function status() {
  return { web: true, ...(await read("/api/status", DOWN)) };
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function send(response, code, type, content) {
  response.writeHead(code, { "content-type": type }).end(content);
}

function sendJson(response, code, value) {
  send(response, code, "application/json", JSON.stringify(value));
}

async function showPage(request, response) {
  const [state, visits, products, orders] = await Promise.all([
    status(),
    ask("/api/visits", { method: "POST" }).then((answer) => answer.json()).catch(() => ({})),
    read("/api/products", []),
    read("/api/orders", []),
  ]);
  send(response, 200, "text/html; charset=utf-8", page({ state, visits: visits.visits, products, orders }));
}

async function showStatus(request, response) {
  const state = await status();
  sendJson(response, Object.values(state).every(Boolean) ? 200 : 503, state);
}

/** The form on the page: place the order, then show the page again. */
async function order(request, response) {
  const form = new URLSearchParams((await body(request)).toString());
  const headers = { "content-type": "application/json" };
  const answer = await ask("/api/orders", {
    method: "POST",
    headers,
    body: JSON.stringify({ product: Number(form.get("product")) }),
  });
  if (!answer.ok) return send(response, answer.status, "text/plain", await answer.text());
  response.writeHead(303, { location: "/" }).end();
}

async function proxy(request, response) {
  const content = ["GET", "HEAD"].includes(request.method) ? undefined : await body(request);
  const headers = { "content-type": request.headers["content-type"] ?? "application/json" };
  const answer = await ask(request.url, { method: request.method, headers, body: content });
  const type = answer.headers.get("content-type") ?? "text/plain";
  send(response, answer.status, type, Buffer.from(await answer.arrayBuffer()));
}

async function route(request, response) {
  const { pathname } = new URL(request.url, "http://web");
  if (pathname === "/") return showPage(request, response);
  if (pathname === "/health") return sendJson(response, 200, { ok: true });
  if (pathname === "/status") return showStatus(request, response);
  if (pathname === "/orders" && request.method === "POST") return order(request, response);
  if (pathname.startsWith("/api/")) return proxy(request, response);
  return sendJson(response, 404, { error: "not found" });
}

const server = http.createServer((request, response) => {
  route(request, response).catch((error) => {
    console.error(`${request.method} ${request.url}: ${error.cause?.message ?? error.message}`);
    if (response.headersSent) response.destroy();
    else sendJson(response, 502, { error: "the api does not answer" });
  });
});

function stop() {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  setTimeout(() => process.exit(0), 2000).unref();
}

process.on("SIGTERM", stop);
process.on("SIGINT", stop);
server.listen(PORT, () => console.log(`web listens on ${PORT}, the api is ${API_URL}`));
