-- A small shop: inserts, an index, joins and grouping.
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, town TEXT);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER, article TEXT, price REAL);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
INSERT INTO customer SELECT i, printf('customer %d', i * 7919 % 500), printf('town %d', i * 31 % 23) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
INSERT INTO purchase SELECT i, i * 7907 % 500 + 1, printf('article %d', i * 17 % 97), i * 13 % 1000 / 8.0 FROM n;
COMMIT;
CREATE INDEX purchase_customer ON purchase (customer);
SELECT town, count(*), sum(price), max(article)
FROM purchase JOIN customer ON customer.id = purchase.customer
GROUP BY town ORDER BY 3 DESC;
SELECT name, (SELECT count(*) FROM purchase WHERE customer = customer.id AND article LIKE '%7%') AS sevens
FROM customer ORDER BY sevens DESC, name LIMIT 20;
SELECT substr(name, 10) % 10 AS digit, avg(price) OVER (PARTITION BY town ORDER BY purchase.id ROWS 5 PRECEDING)
FROM purchase JOIN customer ON customer.id = purchase.customer
ORDER BY 2 DESC, purchase.id LIMIT 20;
