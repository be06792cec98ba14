import http from "node:http";
import { isBook, stopOnSignal } from "@shelf/shared";

const PORT = Number(process.env.PORT || 4000);
const LARGEST = 10_000;

const books = [
  { title: "The Summer Book", author: "Tove Jansson", year: 1972 },
  { title: "Invisible Cities", author: "Italo Calvino", year: 1972 },
  { title: "The Left Hand of Darkness", author: "Ursula K. Le Guin", year: 1969 },
];

function send(response, code, value) {
  response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(value));
}

async function read(request) {
  let text = "";
  for await (const chunk of request) {
    text += chunk;
    if (text.length > LARGEST) return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function add(request, response) {
  const book = await read(request);
  if (!isBook(book)) return send(response, 400, { error: "a book has a title and an author" });
  books.push({ title: book.title, author: book.author, year: book.year });
  return send(response, 201, books.at(-1));
}

const server = http.createServer((request, response) => {
  const { pathname } = new URL(request.url, "http://api");
  if (pathname === "/health") return send(response, 200, { ok: true });
  if (pathname !== "/books") return send(response, 404, { error: "not found" });
  if (request.method === "GET") return send(response, 200, books);
  if (request.method === "POST") return add(request, response).catch(() => response.destroy());
  return send(response, 405, { error: "GET or POST" });
});

stopOnSignal(server);
server.listen(PORT, () => console.log(`api listens on ${PORT}`));
