const PARTS = [
  ["web", "Node", "shows this page"],
  ["api", "Python", "answers the page"],
  ["database", "PostgreSQL", "keeps products and orders"],
  ["cache", "Redis", "counts visits, queues orders"],
  ["worker", "Go", "processes orders"],
];

const STYLE = `
  :root { color-scheme: light dark; --line: light-dark(#d8dde3, #333b44); --soft: light-dark(#5b6672, #9aa5b1); }
  body { margin: 0 auto; max-width: 46rem; padding: 2.5rem 1.25rem; font: 1rem/1.5 system-ui, sans-serif;
    background: light-dark(#fafbfc, #14181d); color: light-dark(#1a2027, #e6eaee); }
  header { display: flex; align-items: baseline; justify-content: space-between; }
  h1 { margin: 0; } h2 { margin: 2rem 0 .5rem; font-size: 1rem; }
  small, .soft { color: var(--soft); }
  ul { list-style: none; margin: 0; padding: 0; }
  .parts { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem; margin-top: 1.5rem; }
  .parts li { border: 1px solid var(--line); border-radius: .6rem; padding: .75rem; }
  .parts small { display: block; }
  .ok { color: #1a9b53; } .bad { color: #d0393b; }
  .rows li { display: flex; gap: 1rem; justify-content: space-between; align-items: center;
    border-top: 1px solid var(--line); padding: .5rem 0; }
  button { font: inherit; border: 0; border-radius: .4rem; padding: .3rem .9rem; background: #2563c9; color: #fff;
    cursor: pointer; }
`;

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escape = (text) => String(text).replace(/[&<>"]/g, (character) => ENTITIES[character]);
const mark = (ok) => (ok ? '<span class="ok">✔</span>' : '<span class="bad">✘</span>');
const price = (cents) => `€ ${(cents / 100).toFixed(2)}`;

function part([name, by, does], state) {
  return `<li>${mark(state[name])} <b>${name}</b><small>${by}: ${does}</small></li>`;
}

function product({ id, name, cents }) {
  return `<li><span>${escape(name)} <small>${price(cents)}</small></span>
    <form method="post" action="/orders"><button name="product" value="${id}">Order</button></form></li>`;
}

function order({ id, product, status }) {
  return `<li><span><small>#${id}</small> ${escape(product)}</span>
    <span>${mark(status === "processed")} ${escape(status)}</span></li>`;
}

function list(items, show, empty) {
  return items.length ? `<ul class="rows">${items.map(show).join("")}</ul>` : `<p class="soft">${empty}</p>`;
}

/** The whole page as HTML. `visits` is undefined when the cache did not answer. */
export function page({ state, visits, products, orders }) {
  const works = PARTS.every(([name]) => state[name]);
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Shop</title>
  <style>${STYLE}</style>
</head>
<body>
  <header><h1>Shop</h1><span class="soft">visit ${visits ?? "?"}</span></header>
  <p>${mark(works)} ${works ? "Everything works." : "Something does not work yet."}</p>
  <ul class="parts">${PARTS.map((item) => part(item, state)).join("")}</ul>
  <h2>Products</h2>
  ${list(products, product, "The api has no products to show.")}
  <h2>Orders</h2>
  ${list(orders, order, "No orders yet: place one.")}
</body>
</html>
`;
}
