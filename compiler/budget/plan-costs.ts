/** What a plan costs on a device, in all and step by step, as the budget sees it; made by compiler/plan/cost-of-plan.ts. */
export interface PlanCosts {
  /** Linear memory of a session: weights, table and arena. */
  readonly memoryBytes: number;
  /** One run on one thread. */
  readonly nanoseconds: number;
  readonly joules: number;
  readonly steps: readonly StepCosts[];
  /** Every piece of packed weights, with the names of the constants in it. */
  readonly weights: readonly { readonly constants: readonly string[]; readonly bytes: number }[];
}

export interface StepCosts {
  /** Name of the node. */
  readonly name: string;
  readonly op: string;
  /** Names of the constants that it reads. */
  readonly constants: readonly string[];
  readonly nanoseconds: number;
  readonly joules: number;
}
