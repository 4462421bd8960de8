import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Server, safePath, serve } from "../../bench/serve.ts";

const folder = mkdtempSync(join(tmpdir(), "leafcutter-serve-"));
let server: Server;

/** The status line of a request whose path no client has tidied. */
function rawStatus(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), "127.0.0.1", () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    });
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(text.split("\r\n")[0] ?? ""));
  });
}

beforeAll(async () => {
  mkdirSync(join(folder, "public/deep"), { recursive: true });
  writeFileSync(join(folder, "secret.txt"), "secret");
  writeFileSync(join(folder, "public/a.mjs"), "export {};");
  writeFileSync(join(folder, "public/deep/b.wasm"), "1234");
  symlinkSync(join(folder, "secret.txt"), join(folder, "public/link.txt"));
  server = await serve({
    "/files/": { kind: "folder", path: join(folder, "public") },
    "/memory/": { kind: "memory", files: new Map([["x.json", "{}"]]) },
  });
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("the bench's server", () => {
  test("serves files with their types, isolated", async () => {
    const script = await fetch(`${server.url}/files/a.mjs`);
    expect(script.headers.get("content-type")).toBe("text/javascript");
    expect(script.headers.get("cross-origin-opener-policy")).toBe("same-origin");
    expect(script.headers.get("cross-origin-embedder-policy")).toBe("require-corp");
    const module = await fetch(`${server.url}/files/deep/b.wasm`);
    expect(module.headers.get("content-type")).toBe("application/wasm");
    expect(await (await fetch(`${server.url}/memory/x.json`)).json()).toEqual({});
  });

  test.each([
    "/files/../secret.txt",
    "/files/%2e%2e/secret.txt",
    "/files/..%2fsecret.txt",
    "/files/deep/..\\..\\secret.txt",
    "/files//../secret.txt",
    "/files/link.txt",
    "/files/%00",
    "/files/%",
    "/files/",
    "/secret.txt",
  ])("refuses %s", async (path) => {
    expect(await rawStatus(path)).toContain("404");
  });

  test("a safe path is one that stays below its folder", () => {
    expect(safePath("a/b%20c.bin")).toBe("a/b c.bin");
    for (const path of ["", "/a", "a/../b", "./a", "a\\b", "c:/x", "%zz"]) expect(safePath(path)).toBeUndefined();
  });

  test("counts the bytes of bodies below a prefix", async () => {
    server.resetCount();
    await (await fetch(`${server.url}/files/deep/b.wasm?query`)).arrayBuffer();
    await (await fetch(`${server.url}/memory/x.json`)).arrayBuffer();
    expect(server.bytesSent(["/files/"])).toBe(4);
    expect(server.bytesSent(["/files/", "/memory/"])).toBe(6);
  });

  test("hands over what a page posts", async () => {
    const result = server.result("token");
    await fetch(`${server.url}/result/token`, { method: "POST", body: new Uint8Array([1, 2, 3]) });
    expect(await result).toEqual(new Uint8Array([1, 2, 3]));
  });
});
