/**
 * The few commands of the W3C WebDriver protocol (https://www.w3.org/TR/webdriver2/) that opening a page and asking it
 * something takes. No time limits of its own but the one given: a script may run for minutes.
 */
import { request } from "node:http";

export interface Capabilities {
  readonly browserName?: string;
  readonly browserVersion?: string;
}

const contentType = { "Content-Type": "application/json; charset=utf-8" } as const;

/** One command. Throws with the driver's own words. */
function send(port: number, method: "GET" | "POST" | "DELETE", path: string, body: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ host: "127.0.0.1", port, method, path, headers: contentType, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        try {
          const { value } = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { readonly value?: unknown };
          if (response.statusCode === 200) return resolve(value);
          const { error, message } = (value ?? {}) as { readonly error?: string; readonly message?: string };
          reject(new Error(`${error ?? `HTTP status ${response.statusCode}`}: ${message ?? ""}`.replace(/: $/, "")));
        } catch (error) {
          reject(error);
        }
      });
    });
    call.on("error", reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export class WebDriverSession {
  readonly capabilities: Capabilities;
  readonly #port: number;
  readonly #id: string;

  private constructor(port: number, id: string, capabilities: Capabilities) {
    this.#port = port;
    this.#id = id;
    this.capabilities = capabilities;
  }

  /** @param alwaysMatch capabilities that the browser must have. */
  static async open(port: number, alwaysMatch: Readonly<Record<string, unknown>>): Promise<WebDriverSession> {
    const value = await send(port, "POST", "/session", { capabilities: { alwaysMatch } });
    const { sessionId, capabilities } = value as { readonly sessionId: string; readonly capabilities: Capabilities };
    return new WebDriverSession(port, sessionId, capabilities);
  }

  #post(command: string, body: unknown): Promise<unknown> {
    return send(this.#port, "POST", `/session/${this.#id}/${command}`, body);
  }

  async setTimeouts(timeouts: { readonly script: number; readonly pageLoad: number }): Promise<void> {
    await this.#post("timeouts", timeouts);
  }

  /** Resolves when the page has loaded. */
  async navigate(url: string): Promise<void> {
    await this.#post("url", { url });
  }

  /** What the promise resolves to that `expression` is. */
  async awaited(expression: string): Promise<unknown> {
    const script = `const done = arguments[arguments.length - 1]; (${expression}).then(done);`;
    return this.#post("execute/async", { script, args: [] });
  }

  async close(): Promise<void> {
    await send(this.#port, "DELETE", `/session/${this.#id}`, undefined);
  }
}
