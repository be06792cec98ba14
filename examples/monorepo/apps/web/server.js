import http from "node:http";
import { describe, stopOnSignal } from "@shelf/shared";

const API_URL = process.env.API_URL;
const PORT = Number(process.env.PORT || 3000);

if (!API_URL || !URL.canParse(API_URL)) {
  console.error("API_URL must be the address of the api, http://api:4000 for example");
  process.exit(1);
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escape = (text) => text.replace(/[&<>"]/g, (character) => ENTITIES[character]);

function page(books) {
  const items = books.map((book) => `<li>${escape(describe(book))}</li>`).join("\n    ");
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Shelf</title>
  <style>body { margin: 3rem auto; max-width: 32rem; font: 1.1rem/1.7 Georgia, serif; background: #f7f4ef; }</style>
</head>
<body>
  <h1>Shelf</h1>
  <ul>
    ${items}
  </ul>
</body>
</html>
`;
}

async function books() {
  const answer = await fetch(new URL("/books", API_URL), { signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`the api answers ${answer.status}`);
  return answer.json();
}

async function show(response) {
  try {
    const content = page(await books());
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(content);
  } catch (error) {
    console.error(error.cause?.message ?? error.message);
    response.writeHead(502, { "content-type": "text/plain" }).end("the api does not answer\n");
  }
}

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://web");
  if (pathname === "/") return show(response);
  if (pathname === "/health") return response.writeHead(200).end("ok\n");
  return response.writeHead(404).end("not found\n");
});

stopOnSignal(server);
server.listen(PORT, () => console.log(`web listens on ${PORT}, the api is ${API_URL}`));
