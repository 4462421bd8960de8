/**
 * Where calibrations can be kept in a page: in memory for as long as it is open, in Cache Storage beyond that. (The command line
 * has a folder.) Both forget their oldest entries beyond a size.
 */
import type { CalibrationStore } from "./quantize/work-cache.ts";

/** Bytes of all entries, unless told otherwise. */
const usualBytes = 256e6;

/** For several compiles in one page or process. */
export function memoryStore(mostBytes = usualBytes): CalibrationStore {
  const entries = new Map<string, Uint8Array>();
  let bytes = 0;
  const remove = (key: string): void => {
    bytes -= entries.get(key)?.byteLength ?? 0;
    entries.delete(key);
  };
  return {
    get: (key) => Promise.resolve(entries.get(key)),
    put: async (key, content) => {
      if (content.byteLength > mostBytes) return;
      remove(key);
      entries.set(key, content);
      bytes += content.byteLength;
      for (const oldest of entries.keys()) {
        if (bytes <= mostBytes) return;
        remove(oldest);
      }
    },
  };
}

/** Entries are answers of no server; their addresses only name them. */
const addressOf = (key: string): string => `https://calibration.leafcutter.invalid/${key}`;
const sizeHeader = "content-length";

/** For pages and workers; where there is no Cache Storage (plain http), nothing is kept. */
export function cacheStorageStore(name = "leafcutter-calibration", mostBytes = usualBytes): CalibrationStore {
  const opened = async (): Promise<Cache | undefined> =>
    typeof caches === "undefined" ? undefined : await caches.open(name);
  return {
    get: async (key) => {
      const response = await (await opened())?.match(addressOf(key));
      return response && new Uint8Array(await response.arrayBuffer());
    },
    put: async (key, content) => {
      const cache = await opened();
      if (!cache || content.byteLength > mostBytes) return;
      const headers = { [sizeHeader]: `${content.byteLength}` };
      await cache.put(addressOf(key), new Response(content as Uint8Array<ArrayBuffer>, { headers }));
      const requests = await cache.keys();
      const responses = await Promise.all(requests.map((request) => cache.match(request)));
      const sizes = responses.map((response) => Number(response?.headers.get(sizeHeader) ?? 0));
      let bytes = sizes.reduce((sum, size) => sum + size, 0);
      for (const [i, request] of requests.entries()) {
        if (bytes <= mostBytes) return;
        await cache.delete(request);
        bytes -= sizes[i] as number;
      }
    },
  };
}
