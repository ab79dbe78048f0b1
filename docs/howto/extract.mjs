// Entities of one text by an exported model: node extract.mjs FOLDER TEXT LABEL...
// npm install onnxruntime-node @huggingface/tokenizers
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import ort from "onnxruntime-node";

const [folder, text, ...labels] = process.argv.slice(2);
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const { query, model, settings, graphs } = read("glinermt_export.json");
if (model.head !== "token" || !["reference", "graphemes"].includes(model.words))
  throw new Error(`this example reads no head ${model.head} with words of ${model.words}`);
const seen = model.words === "graphemes"; // by characters as readers see them, in their plain form

// A row: prefix, marker and tokens of each label, separator, tokens of each word, suffix.
const tokenizer = new Tokenizer(read("tokenizer.json"), read("tokenizer_config.json"));
const tokensOf = (word) => tokenizer.encode(word, { add_special_tokens: false }).ids;
const plainLabel = (label) =>
  label.normalize("NFC").replace(/[_\s]+/g, " ").replace(/^[ .,:;!?]+|[ .,:;!?]+$/g, "") || label;

// Words: a character of several code points counts as its first.
const characters = seen
  ? [...new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text)]
  : [...text.matchAll(/./gsu)].map((match) => ({ index: match.index, segment: match[0] }));
const firsts = characters.map(({ segment }) => [...segment][0]);
const placeAt = [...firsts.flatMap((first, i) => Array(first.length).fill(characters[i].index)), text.length];
const words = [...firsts.join("").matchAll(/[\p{L}\p{N}\p{M}_]+(?:[-_][\p{L}\p{N}\p{M}_]+)*|\S/gu)].map(
  ({ index, 0: word }) => ({ start: placeAt[index], end: placeAt[index + word.length] }),
);
const ids = [...query.prefix];
const [labelPosition, labelLength, wordPosition] = [[], [], []];
for (const label of labels) {
  const tokens = tokensOf(seen ? plainLabel(label) : label);
  labelPosition.push(ids.length);
  labelLength.push(tokens.length);
  ids.push(query.ent_token_id, ...tokens);
}
ids.push(query.sep_token_id);
for (const { start, end } of words) {
  const word = text.slice(start, end);
  const tokens = tokensOf(seen ? word.normalize("NFC") : word);
  wordPosition.push(tokens.length ? ids.length : -1);
  ids.push(...tokens);
}
ids.push(...query.suffix);
if (ids.length > query.max_tokens)
  throw new Error(`${ids.length} tokens, of which the model reads ${query.max_tokens}: cut the text`);

const session = await ort.InferenceSession.create(join(folder, graphs.network));
const tensor = (values, ...shape) =>
  new ort.Tensor("int64", BigInt64Array.from(values, BigInt), shape);
const given = {
  input_ids: tensor(ids, 1, ids.length),
  attention_mask: tensor(ids.map(() => 1), 1, ids.length),
  word_position: tensor(wordPosition, 1, words.length),
  num_words: tensor([words.length], 1),
  num_prompt_words: tensor([0], 1),
  span_label_position: tensor(labelPosition, 1, labels.length),
  span_label_length: tensor(labelLength, 1, labels.length),
};
for (const kind of ["relation", "class"])
  for (const what of ["position", "length"]) given[`${kind}_label_${what}`] = tensor([0], 1, 1);
const feeds = Object.fromEntries(session.inputNames.map((name) => [name, given[name]]));
const logits = (await session.run(feeds)).span_logits.data;

// A span: start, end and all inside probabilities reach the threshold, which is one of scores
// after the temperature.
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const logit = (p) => Math.log(p / (1 - p));
const temperature = settings.temperatures.entities ?? 1;
const threshold = sigmoid(temperature * logit(settings.thresholds.entities ?? 0.5));
const at = (word, label, axis) => sigmoid(logits[(word * labels.length + label) * 3 + axis]);
const rules = {
  min: (start, end, inside) => Math.min(start, end, ...inside),
  mean: (start, end, inside) => inside.reduce((a, b) => a + b) / inside.length,
};
const rule = rules[settings.span_score];
if (!rule) throw new Error(`this example knows no span_score ${settings.span_score}`);
const candidates = [];
for (const label of labels.keys())
  for (const first of words.keys()) {
    if (!(at(first, label, 0) > threshold)) continue;
    const inside = [];
    for (let last = first; last < words.length; last++) {
      inside.push(at(last, label, 2));
      if (inside.at(-1) < threshold) break;
      if (!(at(last, label, 1) > threshold)) continue;
      const score = rule(at(first, label, 0), at(last, label, 1), inside);
      candidates.push({ first, last, label, score });
    }
  }

// The best first; each is kept that overlaps none before it.
candidates.sort((a, b) => b.score - a.score || a.first - b.first || a.last - b.last || a.label - b.label);
const kept = [];
for (const one of candidates)
  if (kept.every((other) => one.last < other.first || other.last < one.first)) kept.push(one);
kept.sort((a, b) => a.first - b.first);
const spans = kept.map(({ first, last, label, score }) => {
  const [start, end] = [words[first].start, words[last].end];
  const calibrated = sigmoid(logit(score) / temperature);
  return { start, end, text: text.slice(start, end), label: labels[label], score: calibrated };
});
console.log(JSON.stringify(spans));
