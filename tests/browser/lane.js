// A way to the server on which things go wrong: a proxy (CONNECT) between browser and server that can break off all connections, or
// stop in the middle, when so many bytes have gone up. The server is on this machine whatever the browser calls it.
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";

export class Lane {
  #pairs = new Set();
  #passed = 0;
  #limit = Infinity;
  #reached = null;

  async start() {
    this.server = createServer();
    this.server.on("connect", (request, client) => this.#tunnel(request, client));
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
  }

  // For newContext(); undefined before start().
  get proxy() {
    return this.server && { server: `http://127.0.0.1:${this.server.address().port}` };
  }

  #tunnel(request, client) {
    const server = connect(Number(request.url.split(":").pop()), "127.0.0.1");
    const pair = { client, server };
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    this.#pairs.add(pair);
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
    server.once("connect", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      server.pipe(client);
      client.on("data", (chunk) => this.#up(pair, chunk));
    });
  }

  #up({ client, server }, chunk) {
    this.#passed += chunk.length;
    if (this.#passed >= this.#limit) this.#reached(client);
    else if (!server.write(chunk)) {
      client.pause();
      server.once("drain", () => client.resume());
    }
  }

  stop() {
    this.cut();
    this.server.close();
  }

  cut() {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  // Breaks off all connections when so many more bytes have gone up; resolves then.
  cutAfter(bytes) {
    return this.#after(bytes, () => this.cut());
  }

  // Lets nothing more go up on the connection on which so many more bytes have come; resolves then.
  holdAfter(bytes) {
    return this.#after(bytes, (client) => client.pause());
  }

  #after(bytes, act) {
    this.#limit = this.#passed + bytes;
    return new Promise((resolve) => {
      this.#reached = (client) => {
        this.#limit = Infinity;
        act(client);
        resolve();
      };
    });
  }
}
