/** What both apps must agree on: what a book is, and how one is written down. */

export function isBook(value) {
  return typeof value?.title === "string" && value.title !== "" && typeof value?.author === "string";
}

export function describe({ title, author, year }) {
  return `${title}, by ${author}${year ? ` (${year})` : ""}`;
}

/** Ends the program soon after SIGTERM: open requests may finish. */
export function stopOnSignal(server) {
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.on(signal, () => {
      server.close(() => process.exit(0));
      server.closeIdleConnections();
      setTimeout(() => process.exit(0), 2000).unref();
    });
  }
}
