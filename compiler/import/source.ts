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

/**
 * A file behind a URL. Read by range requests; a server that ignores them sends the whole file once, which is kept.
 * Throws file-missing (404, 410) or network.
 */
export function urlSource(url: string | URL, fetchBytes: Fetch = (target, init) => fetch(target, init)): ByteSource {
  const target = String(url);
  const name = decodeURIComponent(new URL(target).pathname.split("/").pop() || target);
  let whole: Uint8Array | undefined;
  let known: Promise<number> | undefined;

  const request = async (offset: number, length: number): Promise<{ bytes: Uint8Array; total: number }> => {
    let response: Response;
    try {
      response = await fetchBytes(target, { headers: { Range: `bytes=${offset}-${offset + length - 1}` } });
    } catch (cause) {
      throw new LeafcutterError(
        { code: "network", where: target, message: "the request failed", received: String(cause) },
        { cause },
      );
    }
    if (response.status === 404 || response.status === 410) throw missingFile(target, "Check the URL.");
    // 416: the file is shorter than asked (or empty); its size stands in Content-Range.
    if (!response.ok && response.status !== 416)
      throw new LeafcutterError({
        code: "network",
        where: target,
        message: "the server refused",
        received: `status ${response.status}`,
      });
    const total = Number(/\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1] ?? Number.NaN);
    if (response.status === 416) return { bytes: new Uint8Array(0), total: Number.isFinite(total) ? total : 0 };
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (response.status === 206 && Number.isFinite(total)) return { bytes, total };
    // No partial answer, or one that hides the size (a cross-origin response may): take the whole file.
    whole = response.status === 206 ? new Uint8Array(await (await fetchBytes(target)).arrayBuffer()) : bytes;
    return { bytes: whole.subarray(offset, offset + length), total: whole.byteLength };
  };

  const size = async (): Promise<number> => {
    known ??= request(0, 1).then(({ total }) => total);
    return known;
  };
  return {
    name,
    size,
    read: async (offset, length) => {
      checkRange(name, await size(), offset, length);
      if (whole) return whole.subarray(offset, offset + length);
      if (length === 0) return new Uint8Array(0);
      const { bytes } = await request(offset, length);
      if (bytes.byteLength !== length) checkRange(name, offset + bytes.byteLength, offset, length);
      return bytes.subarray(0, length);
    },
    sibling: async (relativePath) => {
      const path = normalSiblingPath(relativePath).split("/").map(encodeURIComponent).join("/");
      return urlSource(new URL(path, target), fetchBytes);
    },
  };
}
