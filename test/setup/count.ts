/**
 * How many tests passed and failed, from vitest's JSON report over all its projects.
 *
 * A file that failed without a failed test (it did not load, or a hook threw) is one failure; a run that failed for
 * none of these reasons (an unhandled error, no test found) is one failure. Skipped tests count as neither.
 */
export interface Count {
  readonly passed: number;
  readonly failed: number;
}

interface Report {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/** @param succeeded whether vitest ended with exit code 0. */
export function countVitest(json: string, succeeded: boolean): Count {
  const files = (JSON.parse(json) as Report).testResults;
  const statuses = files.flatMap((file) => file.assertionResults.map((result) => result.status));
  const passed = statuses.filter((status) => status === "passed").length;
  const failed =
    statuses.filter((status) => status === "failed").length +
    files.filter((file) => file.status === "failed" && !file.assertionResults.some(({ status }) => status === "failed"))
      .length;
  return { passed, failed: failed === 0 && !succeeded ? 1 : failed };
}
