/**
 * A real browser under the control of this process, whichever engine it is. What each engine needs is in
 * drive-chromium.ts, drive-firefox.ts and drive-webkit.ts.
 */
export const browserNames = ["chromium", "firefox", "webkit"] as const;
export type BrowserName = (typeof browserNames)[number];

/** For people. */
export const browserTitles: Readonly<Record<BrowserName, string>> = {
  chromium: "Chromium",
  firefox: "Firefox",
  webkit: "WebKitGTK",
};

export interface DrivenPage {
  /** Value of a JavaScript expression in the page, as JSON carries it; promises are awaited. Rejects when the page dies. */
  evaluate<T>(expression: string): Promise<T>;
  close(): Promise<void>;
}

export interface DrivenBrowser {
  /** "156.0.…". */
  readonly version: string;
  /** False once the browser has ended by itself. */
  readonly alive: boolean;
  /** A page of its own profile, loaded: nothing of another page is cached or stored for it. */
  open(address: string): Promise<DrivenPage>;
  /** Process ids of what runs pages; empty where the system does not tell. */
  renderers(): Promise<readonly number[]>;
  /** Ends the browser and all its processes. */
  close(): Promise<void>;
}

export type Environment = Readonly<Record<string, string>>;

/**
 * The source of an expression whose value is a promise of JSON text `{ value }` or `{ error }`: what any driver can
 * carry, with the error's message whole.
 */
export function asJson(expression: string): string {
  return `Promise.resolve().then(() => (${expression})).then(
    (value) => JSON.stringify({ value }),
    (error) => JSON.stringify({ error: error instanceof Error ? error.message : String(error) }))`;
}

/** What `asJson` gave. Throws the page's error. */
export function fromJson<T>(text: unknown): T {
  if (typeof text !== "string") throw new Error("the page gave no answer");
  const answer = JSON.parse(text) as { readonly value?: T; readonly error?: string };
  if (answer.error !== undefined) throw new Error(answer.error);
  return answer.value as T;
}

/** The work, or a rejection once it has taken too long: a browser that hangs is no reason to wait for ever. */
export async function within<T>(milliseconds: number, what: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${milliseconds / 1000} s`)), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
