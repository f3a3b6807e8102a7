// Express on Node's own server. Words: https, tls.
const fs = require("fs");
const express = require("express");

const words = process.argv.slice(3);
const app = express();
if (words.includes("https")) {
  app.use((request, response, next) => {
    if (request.get("x-forwarded-proto") === "https") return next();
    response.redirect(301, "https://" + request.get("host") + request.originalUrl);
  });
}
app.get("/health", (request, response) => response.json({ status: "ok" }));
app.get("/cached", (request, response) => response.status(304).end());
app.get("/partial", (request, response) => response.writeHead(206, { "Content-Range": "bytes 0-1/10" }).end("ok"));
app.get("/private", (request, response) => response.redirect("/login"));
app.all("/get", (request, response) => (request.method === "GET" ? response.send("ok") : response.set("Allow", "GET").sendStatus(405)));
app.post("/post", (request, response) => response.send("ok"));
app.get("/boom", () => {
  throw new Error("boom");
});

const tls = () => ({ key: fs.readFileSync("key.pem"), cert: fs.readFileSync("cert.pem") });
const server = words.includes("tls") ? require("https").createServer(tls(), app) : require("http").createServer(app);
server.listen(Number(process.argv[2]), "127.0.0.1");
