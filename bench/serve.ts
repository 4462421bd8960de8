/**
 * A small static server for the pages of the bench, on the loopback interface: folders and files in memory by URL
 * prefix, cross-origin isolated unless told otherwise. It counts what it sends, so that "bytes fetched" needs no help
 * from the browser, and refuses every path that leaves its folder.
 */
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { extname, join, sep } from "node:path";

/** A folder on disk, one file on disk, or files in memory by path below the prefix. */
export type Mount =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "memory"; readonly files: ReadonlyMap<string, Uint8Array | string> };

export interface ServeOptions {
  /** COOP and COEP headers, which give the page SharedArrayBuffer and fine timers; default true. */
  readonly isolated?: boolean;
  /** Headers of every answer, besides. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Server {
  /** Without a slash at its end. */
  readonly url: string;
  /** Adds (or replaces) a mount; a prefix of a folder or of memory ends with "/". The longest prefix wins. */
  mount(prefix: string, mount: Mount): void;
  unmount(prefix: string): void;
  /** Bytes of the bodies sent for paths below one of `prefixes` since the last call of `resetCount`. */
  bytesSent(prefixes: readonly string[]): number;
  resetCount(): void;
  /** The body that a page posts to `/result/<token>`. */
  result(token: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
} as const;

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".png": "image/png",
};

const typeOf = (path: string): string => types[extname(path)] ?? "application/octet-stream";

/** The parts of a URL path below a prefix, or undefined when one of them could leave the folder. */
export function safePath(path: string): string | undefined {
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return undefined;
  }
  const parts = decoded.split("/");
  const isSafe = parts.every((part) => part !== ".." && part !== "." && part !== "" && !/[\\\0:]/.test(part));
  return isSafe ? parts.join("/") : undefined;
}

async function diskFile(folder: string, path: string): Promise<string | undefined> {
  try {
    const root = await realpath(folder);
    const file = await realpath(join(root, path));
    if (!file.startsWith(root.endsWith(sep) ? root : root + sep)) return undefined;
    return (await stat(file)).isFile() ? file : undefined;
  } catch {
    return undefined;
  }
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return new Uint8Array(Buffer.concat(chunks));
}

interface Waiting {
  readonly promise: Promise<Uint8Array>;
  readonly resolve: (body: Uint8Array) => void;
}

class StaticServer {
  readonly mounts = new Map<string, Mount>();
  readonly sent = new Map<string, number>();
  readonly #results = new Map<string, Waiting>();
  readonly #headers: ReadonlyMap<string, string>;

  constructor(headers: ReadonlyMap<string, string>) {
    this.#headers = headers;
  }

  waiting(token: string): Waiting {
    const known = this.#results.get(token);
    if (known !== undefined) return known;
    const waiting = deferred();
    this.#results.set(token, waiting);
    return waiting;
  }

  forget(token: string): void {
    this.#results.delete(token);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // The raw path: a URL object would resolve ".." before it can be refused.
    const path = (request.url ?? "/").replace(/[?#].*$/, "");
    response.setHeaders(new Map(this.#headers));
    if (request.method === "POST" && path.startsWith("/result/")) {
      this.waiting(path.slice("/result/".length)).resolve(await bodyOf(request));
      response.writeHead(204).end();
      return;
    }
    const content = request.method === "GET" ? await this.#find(path) : undefined;
    if (content === undefined) {
      response.writeHead(404, { "Content-Type": "text/plain" }).end("not found");
      return;
    }
    this.sent.set(path, (this.sent.get(path) ?? 0) + content.bytes);
    response.writeHead(200, { "Content-Type": typeOf(content.name), "Content-Length": content.bytes });
    if (content.kind === "memory") response.end(content.body);
    else
      createReadStream(content.file)
        .on("error", () => response.destroy())
        .pipe(response);
  }

  async #find(
    path: string,
  ): Promise<
    | { readonly kind: "memory"; readonly name: string; readonly bytes: number; readonly body: Uint8Array | string }
    | { readonly kind: "disk"; readonly name: string; readonly bytes: number; readonly file: string }
    | undefined
  > {
    const [prefix] = [...this.mounts.keys()]
      .filter((candidate) => (candidate.endsWith("/") ? path.startsWith(candidate) : path === candidate))
      .sort((left, right) => right.length - left.length);
    const mount = prefix === undefined ? undefined : this.mounts.get(prefix);
    if (prefix === undefined || mount === undefined) return undefined;
    const below = prefix.endsWith("/") ? safePath(path.slice(prefix.length)) : "";
    if (below === undefined) return undefined;
    switch (mount.kind) {
      case "memory": {
        const body = mount.files.get(below);
        return body === undefined ? undefined : { kind: "memory", name: below, bytes: Buffer.byteLength(body), body };
      }
      case "file":
        return { kind: "disk", name: mount.path, bytes: (await stat(mount.path)).size, file: mount.path };
      case "folder": {
        const file = await diskFile(mount.path, below);
        return file === undefined ? undefined : { kind: "disk", name: below, bytes: (await stat(file)).size, file };
      }
    }
  }
}

function deferred(): Waiting {
  let resolve: (body: Uint8Array) => void = () => undefined;
  const promise = new Promise<Uint8Array>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Starts the server on a free port of the loopback interface. */
export async function serve(
  mounts: Readonly<Record<string, Mount>>,
  { isolated = true, headers = {} }: ServeOptions = {},
): Promise<Server> {
  const site = new StaticServer(new Map(Object.entries({ ...(isolated ? isolation : {}), ...headers })));
  for (const [prefix, mount] of Object.entries(mounts)) site.mounts.set(prefix, mount);
  const server = createServer((request, response) => {
    site.answer(request, response).catch(() => response.destroy());
  });
  // A process that computes for long does not see that an idle connection was closed, and uses it again.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    mount: (prefix, mount) => void site.mounts.set(prefix, mount),
    unmount: (prefix) => void site.mounts.delete(prefix),
    bytesSent: (prefixes) =>
      [...site.sent]
        .filter(([path]) => prefixes.some((prefix) => path.startsWith(prefix)))
        .reduce((sum, [, bytes]) => sum + bytes, 0),
    resetCount: () => site.sent.clear(),
    result: async (token) => {
      const body = await site.waiting(token).promise;
      site.forget(token);
      return body;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
