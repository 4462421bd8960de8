import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fileSource } from "../../compiler/file-source.ts";
import {
  type ByteSource,
  blobSource,
  bytesSource,
  fileSetSource,
  normalSiblingPath,
  urlSource,
} from "../../compiler/import/source.ts";

const bytes = Uint8Array.from({ length: 100 }, (_, index) => index);

interface Request {
  readonly url: string;
  readonly range: string | null;
}

/** A server for `files`; `ranges`: whether it answers range requests. */
function server(files: Readonly<Record<string, Uint8Array>>, ranges: boolean) {
  const requests: Request[] = [];
  const answer = async (url: string, init?: RequestInit): Promise<Response> => {
    const range = new Headers(init?.headers).get("Range");
    requests.push({ url, range });
    const file = files[url];
    if (!file) return new Response("", { status: 404 });
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
    if (!ranges || first === undefined || last === undefined) return new Response(file.slice());
    if (Number(first) >= file.byteLength)
      return new Response("", { status: 416, headers: { "Content-Range": `bytes */${file.byteLength}` } });
    const part = file.slice(Number(first), Number(last) + 1);
    return new Response(part, {
      status: 206,
      headers: { "Content-Range": `bytes ${first}-${last}/${file.byteLength}` },
    });
  };
  return { requests, answer };
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "leafcutter-source-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function expectToRead(source: ByteSource): Promise<void> {
  expect(source.name).toBe("model.onnx");
  expect(await source.size()).toBe(100);
  expect(await source.read(10, 5)).toEqual(bytes.slice(10, 15));
  expect(await source.read(100, 0)).toEqual(new Uint8Array(0));
  for (const [offset, length] of [
    [96, 5],
    [-1, 2],
    [0, Number.MAX_SAFE_INTEGER],
    [0, 2 ** 60],
    [Number.NaN, 1],
  ] as const)
    await expect(source.read(offset, length)).rejects.toThrow(/model\.onnx.*\[model-invalid\]/);
}

describe("reads ranges and refuses those outside the file", () => {
  test("bytes", () => expectToRead(bytesSource("model.onnx", bytes)));
  test("Blob", () => expectToRead(blobSource("model.onnx", new Blob([bytes]))));
  test("set of files", () =>
    expectToRead(fileSetSource(new Map([["a/model.onnx", new Blob([bytes])]]), "a/model.onnx")));
  test("URL with ranges", () =>
    expectToRead(
      urlSource("https://host/a/model.onnx", {
        fetch: server({ "https://host/a/model.onnx": bytes }, true).answer,
        wholeBelow: 0,
      }),
    ));
  test("URL without ranges", () =>
    expectToRead(
      urlSource("https://host/a/model.onnx", { fetch: server({ "https://host/a/model.onnx": bytes }, false).answer }),
    ));
  test("file", () =>
    inFolder(async (folder) => {
      await writeFile(join(folder, "model.onnx"), bytes);
      await expectToRead(fileSource(join(folder, "model.onnx")));
    }));
});

test("a server that ignores ranges is asked once", async () => {
  const { requests, answer } = server({ "https://host/model.onnx": bytes }, false);
  const source = urlSource("https://host/model.onnx", { fetch: answer, wholeBelow: 0 });
  await source.read(0, 10);
  await source.read(50, 10);
  expect(requests).toHaveLength(1);
});

test("a server that answers ranges sends no more than was asked", async () => {
  const { requests, answer } = server({ "https://host/model.onnx": bytes }, true);
  await urlSource("https://host/model.onnx", { fetch: answer, wholeBelow: 0 }).read(50, 10);
  expect(requests.map(({ range }) => range)).toEqual(["bytes=0-0", "bytes=50-59"]);
});

test("a small file is fetched in one piece", async () => {
  const { requests, answer } = server({ "https://host/model.onnx": bytes }, true);
  const source = urlSource("https://host/model.onnx", { fetch: answer });
  expect(await source.read(50, 10)).toEqual(bytes.slice(50, 60));
  await source.read(0, 100);
  expect(requests.map(({ range }) => range)).toEqual(["bytes=0-0", null]);
});

test("a request that fails and a server that refuses are named with the URL", async () => {
  const broken = urlSource("https://host/model.onnx", { fetch: () => Promise.reject(new TypeError("offline")) });
  await expect(broken.size()).rejects.toThrow(/https:\/\/host\/model\.onnx.*TypeError: offline.*\[network\]/);
  const refusing = urlSource("https://host/model.onnx", { fetch: async () => new Response("", { status: 403 }) });
  await expect(refusing.size()).rejects.toThrow(/received 403.*\[network\]/);
});

test("an empty file has no bytes", async () => {
  const { answer } = server({ "https://host/model.onnx": new Uint8Array(0) }, true);
  expect(await urlSource("https://host/model.onnx", { fetch: answer }).size()).toBe(0);
});

describe("files beside the model", () => {
  test("set of files", async () => {
    const files = new Map([
      ["a/model.onnx", new Blob([bytes])],
      ["a/w/part.bin", new Blob([bytes.slice(0, 7)])],
      ["secret.bin", new Blob([bytes])],
    ]);
    const source = fileSetSource(files, "a/model.onnx");
    expect(await (await source.sibling?.("w/part.bin"))?.size()).toBe(7);
    await expect(source.sibling?.("../secret.bin")).rejects.toThrow(/file-refused/);
    await expect(source.sibling?.("absent.bin")).rejects.toThrow(/a\/absent\.bin.*file-missing/);
  });
  test("URL", async () => {
    const { answer } = server(
      { "https://host/a/model.onnx": bytes, "https://host/a/w%20x/part.bin": bytes.slice(0, 7) },
      true,
    );
    const source = urlSource("https://host/a/model.onnx?token=1", { fetch: answer });
    expect(await (await source.sibling?.("w x/part.bin"))?.size()).toBe(7);
    await expect(source.sibling?.("//elsewhere/x.bin")).rejects.toThrow(/file-refused/);
    await expect((await source.sibling?.("absent.bin"))?.size()).rejects.toThrow(/absent\.bin.*file-missing/);
  });
  test("file, and a link that leaves the folder", () =>
    inFolder((outside) =>
      inFolder(async (folder) => {
        await writeFile(join(folder, "model.onnx"), bytes);
        await writeFile(join(folder, "part.bin"), bytes.slice(0, 7));
        await writeFile(join(outside, "secret.bin"), bytes);
        await symlink(join(outside, "secret.bin"), join(folder, "link.bin"));
        await symlink(join(folder, "part.bin"), join(folder, "inner.bin"));
        const source = fileSource(join(folder, "model.onnx"));
        expect(await (await source.sibling?.("part.bin"))?.size()).toBe(7);
        expect(await (await source.sibling?.("inner.bin"))?.size()).toBe(7);
        await expect(source.sibling?.("link.bin")).rejects.toThrow(/file-refused/);
        await expect(source.sibling?.("absent.bin")).rejects.toThrow(/absent\.bin.*file-missing/);
        await expect(fileSource(join(folder, "absent.onnx")).size()).rejects.toThrow(/absent\.onnx.*file-missing/);
        await expect(fileSource(folder).size()).rejects.toThrow(/file-missing/);
      }),
    ));
});

test.each([
  "",
  ".",
  "..",
  "../x",
  "a/../../x",
  "a/../..",
  "/x",
  "\\x",
  "C:\\x",
  "C:x",
  "..\\x",
  "a\\..\\..\\x",
  "https://x/y",
  "x\0y",
])("%j leaves the folder", (path) => {
  expect(() => normalSiblingPath(path)).toThrow(/\[file-refused\]$/);
});

test.each([
  ["x.bin", "x.bin"],
  ["./x.bin", "x.bin"],
  ["a//b/./x.bin", "a/b/x.bin"],
  ["a/../x.bin", "x.bin"],
  ["a\\x.bin", "a/x.bin"],
  ["...x", "...x"],
])("%j stays inside", (path, normal) => {
  expect(normalSiblingPath(path)).toBe(normal);
});
