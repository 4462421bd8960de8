/**
 * WebKitGTK's MiniBrowser through WebKitWebDriver, on a virtual display (Xvfb) where there is no other. Looks at
 * WEBKIT_DRIVER and MINIBROWSER, PATH and the folders of Linux distributions. It is WebKit, but not Safari.
 * Every page is a browser (and a display) of its own, because a driver has one session and a session one profile.
 */
import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { asJson, type DrivenBrowser, type DrivenPage, type Environment, fromJson, within } from "./driven-browser.ts";
import { firstThatExists, onPath } from "./executable.ts";
import { descendants, type GroupChild, startGroup } from "./process-tree.ts";
import { WebDriverSession } from "./webdriver.ts";

export interface WebKitPrograms {
  readonly driver: string;
  readonly browser: string;
  /** Undefined where there is a display. */
  readonly xvfb: string | undefined;
}

const startMilliseconds = 60_000;
const closeMilliseconds = 20_000;
const pageLoadMilliseconds = 120_000;
/** A measurement takes as long as it takes; a page that hangs ends by then. */
const scriptMilliseconds = 3_600_000;
/** How long Xvfb outlives its last client, should nobody end it. */
const idleDisplaySeconds = "10";

/** Where distributions put MiniBrowser: below the folder of the library, or of its architecture. */
function browserPlaces(): readonly string[] {
  const libraries = ["webkit2gtk-4.1", "webkit2gtk-4.0", "webkitgtk-6.0"];
  const roots = ["/usr/libexec", "/usr/lib64", "/usr/lib"].filter((folder) => existsSync(folder));
  const architectures = existsSync("/usr/lib") ? readdirSync("/usr/lib").filter((name) => name.endsWith("-gnu")) : [];
  return [...roots, ...architectures.map((name) => join("/usr/lib", name))].flatMap((folder) =>
    libraries.map((library) => join(folder, library, "MiniBrowser")),
  );
}

/** What driving WebKit takes, or what of it this machine does not have. */
export function findWebKit(): WebKitPrograms | { readonly missing: string } {
  const driver = firstThatExists([process.env.WEBKIT_DRIVER, ...onPath(["WebKitWebDriver"])]);
  if (driver === undefined) return { missing: "WebKitWebDriver" };
  const browser = firstThatExists([process.env.MINIBROWSER, ...browserPlaces()]);
  if (browser === undefined) return { missing: "MiniBrowser of WebKitGTK" };
  const hasDisplay = (process.env.DISPLAY ?? process.env.WAYLAND_DISPLAY ?? "") !== "";
  const xvfb = hasDisplay ? undefined : firstThatExists(onPath(["Xvfb"]));
  if (!hasDisplay && xvfb === undefined) return { missing: "a display or Xvfb" };
  return { driver, browser, xvfb };
}

interface Display {
  readonly environment: Environment;
  close(): void;
}

/** Xvfb chooses a free display and writes its number to descriptor 3. */
async function openDisplay(xvfb: string): Promise<Display> {
  const args = ["-displayfd", "3", "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-terminate", idleDisplaySeconds];
  const group = startGroup(xvfb, args, { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  const answer = group.child.stdio[3];
  const number = new Promise<string>((resolve, reject) => {
    answer?.once("data", (bytes: Buffer) => resolve(bytes.toString("utf8").trim()));
    group.child.once("error", reject);
    group.child.once("exit", (code) => reject(new Error(`Xvfb ended with code ${code}`)));
  });
  try {
    const display = await within(startMilliseconds, "starting Xvfb", number);
    return { environment: { DISPLAY: `:${display}` }, close: group.kill };
  } catch (error) {
    group.kill();
    throw error;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** A session as soon as the driver listens. */
async function openSession(port: number, { browser }: WebKitPrograms, driver: GroupChild): Promise<WebDriverSession> {
  const capabilities = { "webkitgtk:browserOptions": { binary: browser, args: ["--automation"] } };
  for (;;) {
    if (driver.child.exitCode !== null) throw new Error(`WebKitWebDriver ended with code ${driver.child.exitCode}`);
    try {
      return await WebDriverSession.open(port, capabilities);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ECONNREFUSED")) throw error;
      await pause(50);
    }
  }
}

interface OpenSession {
  readonly session: WebDriverSession;
  readonly driver: GroupChild;
  close(): Promise<void>;
}

async function startSession(programs: WebKitPrograms): Promise<OpenSession> {
  const display = programs.xvfb === undefined ? undefined : await openDisplay(programs.xvfb);
  const port = await freePort();
  const driver = startGroup(programs.driver, [`--port=${port}`], {
    stdio: "ignore",
    env: { ...process.env, ...display?.environment },
  });
  const kill = (): void => {
    driver.kill();
    display?.close();
  };
  driver.child.once("error", () => undefined);
  try {
    const session = await within(startMilliseconds, "starting MiniBrowser", openSession(port, programs, driver));
    await session.setTimeouts({ script: scriptMilliseconds, pageLoad: pageLoadMilliseconds });
    return {
      session,
      driver,
      close: async () => {
        await within(closeMilliseconds, "closing MiniBrowser", session.close()).catch(() => undefined);
        kill();
      },
    };
  } catch (error) {
    kill();
    throw error;
  }
}

export async function launchWebKit(programs: WebKitPrograms): Promise<DrivenBrowser> {
  const sessions = new Set<OpenSession>();
  const start = async (): Promise<OpenSession> => {
    const session = await startSession(programs);
    sessions.add(session);
    return session;
  };
  const end = async (session: OpenSession): Promise<void> => {
    sessions.delete(session);
    await session.close();
  };
  const open = async (address: string): Promise<DrivenPage> => {
    const opened = await start();
    try {
      await opened.session.navigate(address);
    } catch (error) {
      await end(opened);
      throw error;
    }
    return {
      evaluate: async <T>(expression: string) => fromJson<T>(await opened.session.awaited(asJson(expression))),
      close: () => end(opened),
    };
  };
  const close = async (): Promise<void> => {
    await Promise.all([...sessions].map(end));
  };
  try {
    const first = await start();
    const version = first.session.capabilities.browserVersion ?? "unknown";
    await end(first);
    return {
      version,
      alive: true,
      open,
      renderers: async () => {
        const drivers = [...sessions].flatMap(({ driver }) => driver.child.pid ?? []);
        return (await Promise.all(drivers.map((id) => descendants(id, /WebKitWebProcess/)))).flat();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
