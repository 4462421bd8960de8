import { describe, expect, test } from "vitest";
import { interleave, minimumRounds, minimumSamples } from "../../bench/measure/interleave.ts";
import { geometricMean, latencyOf, median, percentile } from "../../bench/measure/statistics.ts";

describe("statistics", () => {
  test("percentiles interpolate between ranks, whatever the order", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(percentile([10, 20, 30, 40, 50], 0.95)).toBeCloseTo(48, 12);
    expect(percentile([7], 0.99)).toBe(7);
    expect(() => percentile([], 0.5)).toThrow(RangeError);
  });

  test("the geometric mean of ratios", () => {
    expect(geometricMean([2, 8])).toBeCloseTo(4, 12);
    expect(geometricMean([])).toBeUndefined();
  });

  test("latency and throughput of samples", () => {
    expect(latencyOf([1, 2, 3, 2])).toMatchObject({ medianMs: 2, throughput: 500, samples: 4 });
  });
});

describe("interleaved rounds", () => {
  /** A clock that only the contenders move. */
  function clocked() {
    let time = 0;
    const order: string[] = [];
    const contender = (name: string, cost: number) => ({
      run: async () => {
        order.push(name);
        time += cost;
      },
    });
    return { now: () => time, order, contender };
  }

  test("take turns after the warm-up, with the least number of rounds and samples", async () => {
    const { now, order, contender } = clocked();
    const contenders = [contender("a", 100), contender("b", 300)];
    const samples = await interleave(contenders, { budgetMs: 1, rounds: 1, now });
    expect(samples.map(({ milliseconds }) => milliseconds.length)).toEqual([minimumSamples, minimumSamples]);
    expect(new Set(samples[0]?.milliseconds)).toEqual(new Set([100]));
    expect(new Set(samples[1]?.milliseconds)).toEqual(new Set([300]));
    const turns =
      order
        .slice(-2 * minimumSamples)
        .join("")
        .match(/a+|b+/g) ?? [];
    expect(turns).toHaveLength(2 * minimumRounds);
    expect(turns.map((turn) => turn[0]).join("")).toBe("ab".repeat(minimumRounds));
  });

  test("a run too short for the clock is timed several at a time", async () => {
    const { now, contender } = clocked();
    const [samples] = await interleave([contender("a", 1 / 128)], { budgetMs: 10, rounds: 5, now });
    expect(samples?.runsPerSample).toBe(13);
    expect(median(samples?.milliseconds ?? [])).toBe(1 / 128);
  });
});
