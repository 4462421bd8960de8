/**
 * Where the bytes of a model come from: a named file of known size, read by ranges, with files beside it.
 * Platform neutral; the Node file is compiler/file-source.ts. A read outside the file and a path that leaves
 * the model's folder are refused, whatever the platform.
 */
import { LeafcutterError } from "../../runtime/format/diagnostic.ts";

export interface ByteSource {
  /** Name for people and the last part of the path, e.g. "model.onnx". */
  readonly name: string;
  /** Bytes in the file. */
  size(): Promise<number>;
  /** Exactly `length` bytes from `offset`; throws model-invalid when they are not all there. The caller must not write to them. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /**
   * The file at `relativePath` below the folder of this one. Throws file-refused for a path that leaves the folder,
   * file-missing when there is no such file. Absent where nothing is known about the folder.
   */
  sibling?(relativePath: string): Promise<ByteSource>;
}

/** Throws model-invalid unless the range lies inside a file of `size` bytes. */
export function checkRange(name: string, size: number, offset: number, length: number): void {
  if (
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    offset >= 0 &&
    length >= 0 &&
    offset + length <= size
  )
    return;
  throw new LeafcutterError({
    code: "model-invalid",
    where: name,
    message: `bytes ${offset} to ${offset + length} lie outside the file`,
    expected: `at most ${size} bytes`,
    received: `offset ${offset}, length ${length}`,
    advice: "The file is truncated or damaged: fetch it again.",
  });
}

/**
 * `path` below the model's folder in normal form ("a/b.bin"). Both slashes separate. Throws file-refused for an
 * empty or absolute path, a drive letter, and any path that climbs out of the folder.
 */
export function normalSiblingPath(path: string): string {
  const parts: string[] = [];
  let inside = path !== "" && !path.includes("\0") && !/^[\\/]|^[A-Za-z][\w+.-]*:/.test(path);
  for (const part of path.split(/[\\/]/)) {
    if (part === "..") inside = parts.pop() !== undefined && inside;
    else if (part !== "" && part !== ".") parts.push(part);
  }
  if (inside && parts.length > 0) return parts.join("/");
  throw refusedPath(path);
}

/** The error for a path that leaves the model's folder. */
export function refusedPath(path: string): LeafcutterError {
  return new LeafcutterError({
    code: "file-refused",
    where: JSON.stringify(path),
    message: "the model names a file outside its own folder",
    expected: "a relative path below the model's folder",
    received: JSON.stringify(path),
    advice: "Put the file beside the model and save the model again with a relative path.",
  });
}

/** The error for a file that the model names and that is not there. */
export function missingFile(path: string, advice = "Put the file beside the model."): LeafcutterError {
  return new LeafcutterError({ code: "file-missing", where: path, message: "the file is not there", advice });
}

/** Bytes already in memory. Reads are views, not copies. */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: async () => bytes.byteLength,
    read: async (offset, length) => {
      checkRange(name, bytes.byteLength, offset, length);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** A Blob or File; nothing is read before it is asked for. */
export function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: async () => blob.size,
    read: async (offset, length) => {
      checkRange(name, blob.size, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
}

/** One file of a set (dropped files, an opened folder: path -> content), with the others of its folder beside it. */
export function fileSetSource(files: ReadonlyMap<string, Blob>, path: string): ByteSource {
  const blob = files.get(path);
  if (!blob) throw missingFile(path, `The files given are: ${[...files.keys()].slice(0, 20).join(", ")}.`);
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  return {
    ...blobSource(path.slice(folder.length), blob),
    sibling: async (relativePath) => {
      const target = folder + normalSiblingPath(relativePath);
      if (!files.has(target)) throw missingFile(target, "Drop it together with the model.");
      return fileSetSource(files, target);
    },
  };
}

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export interface UrlOptions {
  readonly fetch?: Fetch;
  /** A file up to this size is fetched in one piece: weights are many small ranges. 64 MiB unless given. */
  readonly wholeBelow?: number;
}

/**
 * A file behind a URL, relative to the page where there is one. Large files are read by range requests; a server that
 * ignores them sends the whole file once, which is kept. Throws file-missing (404, 410) or network.
 */
export function urlSource(url: string | URL, options: UrlOptions = {}): ByteSource {
  const { fetch: fetchBytes = (target, init) => fetch(target, init), wholeBelow = 2 ** 26 } = options;
  const target = new URL(url, globalThis.location?.href);
  const name = target.pathname.split("/").pop() || target.host;

  /** Bytes [offset, end), or the whole file without a range; and the size of the file where the answer tells it. */
  const request = async (range?: readonly [offset: number, end: number]): Promise<Answer> => {
    try {
      const init = range ? { headers: { Range: `bytes=${range[0]}-${range[1] - 1}` } } : {};
      const response = await fetchBytes(target.href, init);
      const total = /\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1];
      return {
        status: response.status,
        bytes: new Uint8Array(await response.arrayBuffer()),
        total: total === undefined ? undefined : Number(total),
      };
    } catch (cause) {
      throw new LeafcutterError(
        { code: "network", where: target.href, message: "the request failed", received: String(cause) },
        { cause },
      );
    }
  };

  /** Asks for one byte: a server that knows ranges tells the size, another sends the file. */
  const open = async (): Promise<{ readonly size: number; readonly whole: Uint8Array | undefined }> => {
    const first = await request([0, 1]);
    // 416: there is no first byte.
    if (first.status === 416) return { size: 0, whole: new Uint8Array(0) };
    checkStatus(first.status, target.href);
    if (first.status === 206 && first.total !== undefined && first.total > wholeBelow)
      return { size: first.total, whole: undefined };
    // Also when a cross-origin answer hides the size.
    const answer = first.status === 206 ? await request() : first;
    checkStatus(answer.status, target.href);
    return { size: answer.bytes.byteLength, whole: answer.bytes };
  };
  let opened: ReturnType<typeof open> | undefined;
  const file = (): ReturnType<typeof open> => {
    opened ??= open();
    return opened;
  };

  return {
    name,
    size: async () => (await file()).size,
    read: async (offset, length) => {
      const { size, whole } = await file();
      checkRange(name, size, offset, length);
      if (whole) return whole.subarray(offset, offset + length);
      if (length === 0) return new Uint8Array(0);
      const { status, bytes } = await request([offset, offset + length]);
      checkStatus(status, target.href);
      const part = status === 206 ? bytes : bytes.subarray(offset, offset + length);
      checkRange(name, part.byteLength, 0, length);
      return part.subarray(0, length);
    },
    sibling: async (relativePath) => {
      const path = normalSiblingPath(relativePath).split("/").map(encodeURIComponent).join("/");
      return urlSource(new URL(path, target), options);
    },
  };
}

interface Answer {
  readonly status: number;
  readonly bytes: Uint8Array;
  readonly total: number | undefined;
}

function checkStatus(status: number, url: string): void {
  if (status === 200 || status === 206) return;
  if (status === 404 || status === 410) throw missingFile(url, "Check the URL.");
  throw new LeafcutterError({
    code: "network",
    where: url,
    message: "the server refused",
    expected: "status 200 or 206",
    received: `${status}`,
  });
}
