/** The demo's real page in Chromium: what a visitor does, and that what the page shows is what onnxruntime-web computes. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright";
import { build, createServer, type PreviewServer, preview, type ViteDevServer } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumArguments, findChromium } from "../../bench/chromium.ts";

const root = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "demo");
const configFile = join(root, "vite.config.ts");
const digits = join(root, "models/digits/model.onnx");
const patience = 90_000;
const executable = findChromium();

let browser: Browser;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "leafcutter-demo-"));
  browser = await chromium.launch({
    ...(executable === undefined ? {} : { executablePath: executable }),
    args: [...chromiumArguments],
  });
}, patience);

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A page on the demo, whose uncaught errors end up in the list. */
async function openPage(url: string): Promise<readonly [page: Page, errors: readonly string[]]> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.setDefaultTimeout(patience);
  await page.goto(url);
  return [page, errors];
}

const answer = (page: Page): Promise<string | null> => page.locator("#prediction").getAttribute("data-answer");

async function waitForAnswer(page: Page, expected: string): Promise<void> {
  await page.locator(`#prediction[data-answer="${expected}"]`).waitFor();
}

/** Runs the comparison and returns the largest difference from onnxruntime-web, as a share of the largest output. */
async function compare(page: Page): Promise<number> {
  await page.getByRole("button", { name: "Compare with onnxruntime-web" }).click();
  await page.locator("#peer[data-agreement]:not([data-agreement=''])").waitFor();
  return Number(await page.locator("#peer").getAttribute("data-agreement"));
}

describe("vite demo", () => {
  let server: ViteDevServer;
  let url: string;

  beforeAll(async () => {
    server = await createServer({
      root,
      configFile,
      logLevel: "error",
      cacheDir: join(folder, "cache"),
      server: { port: 0, host: "127.0.0.1", hmr: false, watch: null },
    });
    await server.listen();
    url = server.resolvedUrls?.local[0] ?? "";
  }, patience);

  afterAll(() => server?.close());

  test("compiles the digits, reads a test image and a drawing, and agrees with onnxruntime-web", {
    timeout: patience,
  }, async () => {
    const [page, errors] = await openPage(url);
    await page.locator("#prediction[data-answer]").waitFor();
    await page.getByRole("button", { name: "Test image: 7" }).first().click();
    await waitForAnswer(page, "7");
    expect(await compare(page)).toBeLessThan(1e-4);
    await page.locator(".layer").first().waitFor();
    expect(await page.locator("#package tbody tr").count()).toBeGreaterThanOrEqual(5);

    await page.getByRole("button", { name: "Clear" }).click();
    expect(await answer(page)).toBeNull();
    const sheet = await page.locator("canvas.sheet").boundingBox();
    if (sheet === null) throw new Error("the sheet is not shown");
    await page.mouse.move(sheet.x + sheet.width * 0.55, sheet.y + sheet.height * 0.2);
    await page.mouse.down();
    await page.mouse.move(sheet.x + sheet.width * 0.5, sheet.y + sheet.height * 0.8, { steps: 12 });
    await page.mouse.up();
    await waitForAnswer(page, "1");
    expect(errors).toEqual([]);
    await page.close();
  });

  test("takes a dropped ONNX file, and explains one that is damaged", { timeout: patience }, async () => {
    const [page, errors] = await openPage(url);
    await page.locator("#prediction[data-answer]").waitFor();
    const bytes = readFileSync(digits);
    const drop = (name: string, content: Buffer): Promise<void> =>
      page.evaluate(
        ([file, base64]) => {
          const data = new DataTransfer();
          data.items.add(new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], file));
          document.documentElement.dispatchEvent(
            new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }),
          );
        },
        [name, content.toString("base64")] as const,
      );

    await drop("mine.onnx", bytes);
    await waitForAnswer(page, "outputs");
    expect(await page.locator("#prediction").innerText()).toContain("logits");
    expect(await compare(page)).toBeLessThan(1e-4);

    await drop("broken.onnx", bytes.subarray(0, 20_000));
    const problem = page.getByRole("alert");
    await problem.waitFor();
    expect(await problem.innerText()).toContain("model-invalid");

    await page.getByText("Digits", { exact: true }).click();
    await page.locator("#prediction[data-answer]:not([data-answer='outputs'])").waitFor();
    expect(await problem.count()).toBe(0);
    expect(errors).toEqual([]);
    await page.close();
  });
});

describe("vite build demo", () => {
  let server: PreviewServer;

  beforeAll(async () => {
    const common = {
      root,
      configFile,
      logLevel: "error",
      build: { outDir: join(folder, "dist"), emptyOutDir: true },
    } as const;
    await build(common);
    server = await preview({ ...common, preview: { port: 0, host: "127.0.0.1" } });
  }, patience);

  afterAll(() => server?.close());

  test("serves a page that names what is in a photo and keeps a size budget, on a phone's width", {
    timeout: patience,
  }, async () => {
    const [page, errors] = await openPage(server.resolvedUrls?.local[0] ?? "");
    await page.setViewportSize({ width: 390, height: 844 });
    await page.locator("#prediction[data-answer]").waitFor();
    await page.getByText("CIFAR-10", { exact: true }).click();
    await page.getByRole("button", { name: "Test image: ship" }).first().click();
    await waitForAnswer(page, "ship");

    const photo = join(folder, "photo.png");
    await page.locator("canvas.picture").screenshot({ path: photo });
    await page.getByRole("button", { name: "Test image: horse" }).first().click();
    await waitForAnswer(page, "horse");
    await page.setInputFiles("input[type=file][accept='image/*']", photo);
    await waitForAnswer(page, "ship");

    await page.locator("#budget").fill("50");
    const share = page.getByText(/^\d+ % of float32$/);
    await share.waitFor();
    expect(Number.parseInt(await share.innerText(), 10)).toBeLessThanOrEqual(50);
    await waitForAnswer(page, "ship");
    await page.locator("#front svg .chosen").waitFor();
    await page.locator("#front-views").getByText("mJ").click();
    await page.locator("#front svg[aria-label*='millijoules']").waitFor();
    await page.locator("#budget").fill("10");
    const problem = page.getByRole("alert");
    await problem.waitFor();
    expect(await problem.innerText()).toContain("budget-infeasible");
    await page.getByRole("button", { name: "Test image: truck" }).first().click();
    await waitForAnswer(page, "truck");
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
    expect(errors).toEqual([]);
    await page.close();
  });
});
