/**
 * The page: choose a model, compile it in a worker, run it, show where bytes and time go. This file holds the order of
 * events; every panel is a file of its own. A change of model, budget or backend aborts what the one before started.
 */
import type { Package } from "../compiler/compile.ts";
import { LeafcutterError, type Tensor } from "../runtime/index.ts";
import { showAccuracy } from "./accuracy.ts";
import { agreementOf } from "./agreement.ts";
import { type ChosenModel, embeddedModel, imageSample, ownModel } from "./chosen-model.ts";
import { compileModel } from "./compile-model.ts";
import { byId } from "./element.ts";
import { Figures } from "./figures.ts";
import { FrontPanel } from "./front-panel.ts";
import { ImagePanel, type Picture } from "./image-panel.ts";
import { LatencyPanel } from "./latency-panel.ts";
import { meanOfRuns, showLayers } from "./layers.ts";
import { measure, type Times } from "./measure.ts";
import { showMemory } from "./memory-map.ts";
import { embeddedModels } from "./models.ts";
import { diagnosticOf } from "./outcome.ts";
import { showPackageFiles } from "./package-files.ts";
import { Peer } from "./peer.ts";
import { indexOfLargest, showClasses, showHint, showOutputs } from "./prediction.ts";
import { showProblem } from "./problem.ts";
import { ascending, bytesText, millisecondsText, percentText, quantile } from "./quantity.ts";
import { randomInputs } from "./random-inputs.ts";
import { showRandomPanel } from "./random-panel.ts";
import { showReport } from "./report-view.ts";
import { type Inputs, type Outputs, RunningModel } from "./running-model.ts";
import { Setup } from "./setup.ts";
import { StageList } from "./stages.ts";

/** Profiled runs: enough to average out the timer's resolution, few enough not to make the reader wait. */
function profiledRuns(runMilliseconds: number): number {
  return Math.max(3, Math.min(60, Math.round(300 / Math.max(runMilliseconds, 0.01))));
}

class Page {
  readonly #setup = new Setup({
    onEmbedded: (model) => void this.#choose(() => embeddedModel(model)),
    onFiles: (files) => void this.#receive(files),
    onCompile: () => void this.#rebuild(),
    onBackend: () => void this.#reopen(),
  });
  readonly #latency = new LatencyPanel({
    onMeasure: () => void this.#measure(),
    onCompare: () => void this.#compare(),
  });
  readonly #stages = new StageList(byId("stages"));
  readonly #figures = new Figures();
  readonly #front = new FrontPanel();

  /** Ends whatever the last change of model, budget or backend started. */
  #work = new AbortController();
  #measuring = new AbortController();
  #chosen: ChosenModel | undefined;
  #images: ImagePanel | undefined;
  /** The chosen model without a budget, which budgets are shares of. */
  #float: Package | undefined;
  #compiled: Package | undefined;
  #running: RunningModel | undefined;
  /** The budget of the package that runs; the slider may have moved on. */
  #budget = 1;
  #peer: Peer | undefined;
  #wantsPeer = false;
  #inputs: Inputs | undefined;
  #truth: number | undefined;
  /** Nothing is drawn: no answer is shown, the last input stays for measuring. */
  #empty = false;
  #speaking: ReturnType<typeof setTimeout> | undefined;
  #inferring = false;
  #inferAgain = false;

  start(): void {
    const [first] = embeddedModels;
    if (first !== undefined) void this.#choose(() => embeddedModel(first));
  }

  /** Runs one task at a time: a new one aborts the one before. Shows what went wrong. */
  async #task(status: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#work.abort();
    this.#measuring.abort();
    const control = new AbortController();
    this.#work = control;
    const { signal } = control;
    byId("problem").replaceChildren();
    this.#status(status);
    try {
      await work(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#stages.fail();
      this.#status("");
      this.#fail(error);
      if (this.#running === undefined) this.#showNothing();
      else await this.#measure();
    }
  }

  #showNothing(): void {
    document.body.classList.add("failed");
    showHint(byId("input"), "No model is running.");
  }

  #status(text: string): void {
    byId("compile-status").textContent = text;
  }

  #fail(error: unknown): void {
    if (!(error instanceof LeafcutterError)) console.error(error);
    const diagnostic = diagnosticOf(error);
    const here = "Write each with a number into the field Dimensions above, such as height=224, and press Enter.";
    showProblem(
      byId("problem"),
      diagnostic.code === "dimension-unbound" ? { ...diagnostic, advice: here } : diagnostic,
    );
  }

  async #receive(files: readonly File[]): Promise<void> {
    const [first] = files;
    if (files.length === 1 && first?.type.startsWith("image/") && this.#images !== undefined) {
      await this.#images.showPhoto(first);
      return;
    }
    await this.#choose(async () => ownModel(files));
  }

  async #choose(find: () => Promise<ChosenModel>): Promise<void> {
    await this.#task("Fetching the model…", async (signal) => {
      this.#stages.clear();
      const chosen = await find();
      if (signal.aborted) return;
      this.#forgetModel();
      this.#chosen = chosen;
      this.#setup.showChosen(chosen.kind === "embedded" ? chosen.embedded.id : { file: chosen.path });
      await this.#build(chosen, signal);
    });
  }

  #forgetModel(): void {
    document.body.classList.remove("failed");
    this.#running?.dispose();
    this.#running = undefined;
    this.#peer?.dispose();
    this.#peer = undefined;
    this.#float = undefined;
    this.#compiled = undefined;
    this.#inputs = undefined;
    this.#empty = false;
    this.#images = undefined;
    this.#setup.showFloat(undefined);
    this.#front.show(undefined);
    this.#figures.clear();
    this.#latency.clear();
    this.#latency.offerPeer();
    for (const id of ["input", "prediction", "gallery", "accuracy", "layers", "memory", "package", "report"])
      byId(id).replaceChildren();
    for (const id of ["layers-hint", "memory-hint", "package-hint"]) byId(id).textContent = "";
  }

  async #rebuild(): Promise<void> {
    const chosen = this.#chosen;
    if (chosen === undefined) return;
    await this.#task("Compiling…", (signal) => this.#build(chosen, signal));
  }

  async #reopen(): Promise<void> {
    const needsShaders = this.#setup.settings().backend === "webgpu" && this.#compiled?.manifest.shaders === undefined;
    const compiled = this.#compiled;
    if (compiled === undefined || needsShaders) return this.#rebuild();
    await this.#task("Loading…", async (signal) => this.#open(compiled, this.#budget, signal));
  }

  async #build(chosen: ChosenModel, signal: AbortSignal): Promise<void> {
    const settings = this.#setup.settings();
    this.#status("Compiling…");
    this.#stages.clear();
    const compiled = await compileModel(chosen, {
      settings,
      float: this.#float,
      onStage: (stage, done, total) => {
        if (signal.aborted) return;
        if (stage === "done") this.#stages.finish();
        else this.#stages.update(stage, done, total);
      },
      onFloat: (float) => {
        this.#float = float;
        this.#setup.showFloat(float.report);
      },
      signal,
    });
    const budget = Math.min(settings.budget, settings.latencyBudget);
    if (!signal.aborted) await this.#open(compiled, budget, signal);
  }

  async #open(compiled: Package, budget: number, signal: AbortSignal): Promise<void> {
    const { backend } = this.#setup.settings();
    this.#status("Loading…");
    this.#stages.update("load", 0, 1);
    let loading = true;
    const running = await RunningModel.open(
      compiled,
      backend,
      ({ phase, loadedBytes, totalBytes }) => {
        if (loading && phase === "weights") this.#stages.update("load", loadedBytes, totalBytes);
      },
      signal,
    );
    loading = false;
    if (signal.aborted) {
      running.dispose();
      return;
    }
    this.#stages.finish();
    this.#running?.dispose();
    this.#running = running;
    this.#compiled = compiled;
    this.#budget = budget;
    this.#status("");
    document.body.classList.remove("failed");
    this.#showPackage(running, budget);
    this.#offerInputs(running);
    await this.#infer();
    if (this.#wantsPeer && this.#peer === undefined) await this.#compare();
    else await this.#measure();
  }

  #showPackage(running: RunningModel, budget: number): void {
    const { manifest, files, report } = running.package;
    const total = report.totalBytes;
    const share = this.#chosen === undefined ? "" : `${percentText(total / this.#chosen.bytes)} of the ONNX file`;
    this.#figures.show(
      "Package",
      bytesText(total),
      budget === 1 ? share : `${percentText(total / (this.#float?.report.totalBytes ?? total))} of float32`,
    );
    this.#figures.show("Compiled in", millisecondsText(report.milliseconds), `${report.steps.length} steps`);
    void running.stats().then(
      (stats) => {
        this.#figures.show("Memory", bytesText(stats.memoryBytes), `${bytesText(stats.weightBytes)} weights`);
        const [rejected] = stats.rejected;
        this.#figures.show(
          "Runs on",
          stats.variant,
          rejected === undefined ? stats.reason : `${rejected.variant}: ${rejected.why}`,
        );
      },
      () => undefined,
    );
    byId("package-hint").textContent = `${files.size} files, ${bytesText(total)}`;
    showPackageFiles(byId("package"), manifest, files);
    byId("memory-hint").textContent = `${running.program.memory.pages} pages of 64 KiB`;
    showMemory(byId("memory"), running.program);
    showReport(byId("report"), report);
    this.#front.show(report);
  }

  /** The panels for the input, once a model; a new package of the same model keeps its input. */
  #offerInputs(running: RunningModel): void {
    const chosen = this.#chosen;
    if (chosen === undefined || this.#images !== undefined) return;
    if (chosen.kind === "own") {
      const { inputs, symbols } = running.package.manifest;
      showRandomPanel(byId("input"), inputs, (seed) => {
        this.#inputs = randomInputs(inputs, symbols, seed);
        void this.#infer();
      });
      return;
    }
    const { embedded, images } = chosen;
    this.#images = new ImagePanel({
      input: byId("input"),
      gallery: byId("gallery"),
      embedded,
      images,
      onPicture: (picture) => this.#takePicture(chosen, picture),
      onFailure: (error) => this.#fail(error),
    });
    const logitsOf = (outputs: Outputs | undefined): Tensor | undefined => outputs?.logits;
    const inputOf = (index: number): Inputs => imageSample(images[index]?.pixels ?? new Uint8Array(), embedded.format);
    showAccuracy(byId("accuracy"), {
      truths: images.map(({ label }) => label),
      run: async (index) => logitsOf(await this.#running?.run(inputOf(index))),
      peerRun: async (index) => logitsOf((await this.#peer?.run(inputOf(index)))?.outputs),
      onFailure: (error) => this.#fail(error),
    });
  }

  #takePicture(chosen: ChosenModel & { readonly kind: "embedded" }, picture: Picture | undefined): void {
    this.#empty = picture === undefined;
    if (picture === undefined) {
      showHint(byId("prediction"), "The sheet is empty.");
      return;
    }
    this.#inputs = imageSample(picture.pixels, chosen.embedded.format);
    this.#truth = picture.truth;
    void this.#infer();
  }

  /** Runs the input at hand; while a run is under way the latest input waits, those between are dropped. */
  async #infer(): Promise<void> {
    this.#inferAgain = true;
    if (this.#inferring) return;
    this.#inferring = true;
    try {
      while (this.#inferAgain) {
        this.#inferAgain = false;
        const [running, inputs, truth] = [this.#running, this.#inputs, this.#truth];
        if (running === undefined || inputs === undefined) return;
        const outputs = await running.run(inputs);
        const peer = await this.#peer?.run(inputs);
        if (!this.#inferAgain && !this.#empty && running === this.#running)
          this.#showOutputs(outputs, peer?.outputs, truth);
      }
    } catch (error) {
      if (!(error instanceof LeafcutterError && error.code === "disposed")) this.#fail(error);
    } finally {
      this.#inferring = false;
    }
  }

  #showOutputs(outputs: Outputs, peer: Outputs | undefined, truth: number | undefined): void {
    const host = byId("prediction");
    if (this.#chosen?.kind !== "embedded") {
      showOutputs(host, outputs);
      return;
    }
    const logits = outputs.logits?.data as Float32Array | undefined;
    if (logits === undefined) return;
    const { classes } = this.#chosen.embedded;
    this.#speak(`The model says ${classes[indexOfLargest(logits)] ?? "nothing"}`);
    showClasses(host, classes, {
      logits,
      truth,
      peer: peer?.logits?.data as Float32Array | undefined,
    });
  }

  /** For screen readers, once the drawing pauses. */
  #speak(text: string): void {
    clearTimeout(this.#speaking);
    this.#speaking = setTimeout(() => {
      byId("spoken").textContent = text;
    }, 700);
  }

  async #compare(): Promise<void> {
    const chosen = this.#chosen;
    if (chosen === undefined || this.#peer !== undefined) return;
    this.#wantsPeer = true;
    this.#measuring.abort();
    this.#latency.showPeerLoading();
    try {
      const peer = await Peer.open(chosen.files, chosen.path);
      if (chosen !== this.#chosen || this.#peer !== undefined) {
        peer.dispose();
        return;
      }
      this.#peer = peer;
    } catch (error) {
      this.#wantsPeer = false;
      this.#latency.showPeerProblem(diagnosticOf(error));
      return;
    }
    await this.#infer();
    await this.#measure();
  }

  async #measure(): Promise<void> {
    this.#measuring.abort();
    const control = new AbortController();
    this.#measuring = control;
    const { signal } = control;
    const [running, peer, inputs] = [this.#running, this.#peer, this.#inputs];
    if (running === undefined || inputs === undefined) return;
    this.#latency.busy(true);
    try {
      const contenders = [
        { run: () => running.timedRun(inputs) },
        ...(peer === undefined ? [] : [{ run: async () => (await peer.run(inputs)).milliseconds }]),
      ];
      let last: readonly Times[] = [];
      await measure(contenders, {
        runs: this.#latency.runs,
        signal,
        onRound: (times) => {
          last = times;
          const [own, other] = times;
          if (own !== undefined && !signal.aborted) this.#latency.showTimes(own, other);
        },
      });
      if (signal.aborted) return;
      await this.#showMeasured(running, peer, inputs, last);
      const runs = profiledRuns(quantile(ascending(last[0]?.engine ?? [1]), 0.5));
      const layers = meanOfRuns(await running.profile(inputs, runs));
      if (signal.aborted) return;
      byId("layers-hint").textContent = `mean of ${runs} profiled runs`;
      showLayers(byId("layers"), layers);
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    } finally {
      if (this.#measuring === control) this.#latency.busy(false);
    }
  }

  async #showMeasured(
    running: RunningModel,
    peer: Peer | undefined,
    inputs: Inputs,
    times: readonly Times[],
  ): Promise<void> {
    const [own, other] = times;
    if (own === undefined) return;
    const sorted = ascending(own.engine);
    this.#figures.show(
      "Median run",
      millisecondsText(quantile(sorted, 0.5)),
      `p99 ${millisecondsText(quantile(sorted, 0.99))}`,
    );
    if (peer === undefined || other === undefined) return;
    const [ours, theirs] = [await running.run(inputs), await peer.run(inputs)];
    const budget = this.#budget;
    this.#latency.showComparison(own, other, {
      version: peer.version,
      peerReady: peer.openMilliseconds,
      ownReady: running.loadMilliseconds,
      agreement: agreementOf(ours, theirs.outputs),
      reduced: budget < 1,
      caveats: [
        ...(budget < 1
          ? [`This package is cut to ${percentText(budget)} of its float32 size; onnxruntime-web runs float32.`]
          : []),
        ...(self.crossOriginIsolated
          ? []
          : ["This host does not isolate the page, so the browser rounds times to 0.1 ms."]),
      ],
    });
  }
}

new Page().start();
