CREATE TABLE IF NOT EXISTS products (
    id    integer PRIMARY KEY,
    name  text NOT NULL,
    cents integer NOT NULL CHECK (cents > 0)
);

-- An order without a product is a probe: it travels the same way and is never shown.
CREATE TABLE IF NOT EXISTS orders (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id integer REFERENCES products,
    status     text NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'processed')),
    placed_at  timestamptz NOT NULL DEFAULT now()
);

INSERT INTO products (id, name, cents)
VALUES (1, 'Enamel mug', 1250), (2, 'Field notebook', 890), (3, 'Wool blanket', 6400)
ON CONFLICT (id) DO NOTHING;
