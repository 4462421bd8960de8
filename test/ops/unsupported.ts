/**
 * What of the ONNX backend suite is not run node by node, and why. An operator that gains a record must leave this list;
 * an operator that loses its record fails the suite.
 */
const text = "text tensors are not supported";
const sequences = "sequences and optional values are not supported";
const regions = "holds graphs: test/compile/conformance.node.test.ts runs it";
const random = "the result is random";
const training = "training is out of scope";
const trees = "tree ensembles and label encoders are out of scope";
const preview = "a preview operator whose definition may still change";
const pending = "not written yet";

export const unsupportedOperators: Readonly<Record<string, string>> = {
  "ai.onnx.ml.ArrayFeatureExtractor": trees,
  "ai.onnx.ml.LabelEncoder": trees,
  "ai.onnx.ml.TreeEnsemble": trees,
  "ai.onnx.preview.FlexAttention": preview,
  "ai.onnx.preview.training.Adagrad": training,
  "ai.onnx.preview.training.Adam": training,
  "ai.onnx.preview.training.Momentum": training,
  Bernoulli: random,
  RandomUniformLike: random,
  If: regions,
  Loop: regions,
  Scan: regions,
  ImageDecoder: "decoding image files is the application's part",
  RegexFullMatch: text,
  StringConcat: text,
  StringNormalizer: text,
  StringSplit: text,
  TfIdfVectorizer: text,
  OptionalGetElement: sequences,
  OptionalHasElement: sequences,
  SequenceEmpty: sequences,
  SequenceInsert: sequences,
  SequenceLength: sequences,
  SequenceMap: sequences,
  SplitToSequence: sequences,
  CausalConvWithState: pending,
  DFT: pending,
  Det: pending,
  LinearAttention: pending,
  STFT: pending,
  SwiGLU: pending,
};

/** Cases of operators that have a record, by name. */
export const unsupportedCases: readonly { readonly name: RegExp; readonly reason: string }[] = [
  { name: /^test_training_dropout(?!_zero_ratio)/, reason: random },
  { name: /^test_batchnorm_.*training_mode/, reason: training },
];

/** Element types that import refuses. */
export const unsupportedTypes: ReadonlySet<string> = new Set([
  "undefined",
  "string",
  "float8e4m3fn",
  "float8e4m3fnuz",
  "float8e5m2",
  "float8e5m2fnuz",
  "float8e8m0",
  "float4e2m1",
]);

/** Other forms that import refuses; sequences appear as tensors that make no sense. */
export const unsupportedForms: readonly RegExp[] = [/tensors in segments/, /a sequence or an optional value/];
