/** Who answers in AI mode: it turns questions round, as CIM's does, and knows nothing. */

const QUESTION = /[?？]+$/;
const SUBJECTS: Record<string, string> = {
  you: "I",
  i: "you",
  we: "we",
  he: "he",
  she: "she",
  it: "it",
  they: "they",
};
const VERBS: Record<string, Record<string, string>> = {
  I: { are: "am", were: "was" },
  you: { am: "are", was: "were" },
};
const OBJECTS: Record<string, string> = {
  me: "you",
  you: "me",
  my: "your",
  your: "my",
  mine: "yours",
  yours: "mine",
  myself: "yourself",
};
const INVERTED =
  /^(are|am|is|was|were|can|could|will|would|shall|should|may|might|must|have|has|had)\s+(you|i|we|he|she|it|they)\s+(.*)$/i;
const DO = /^(do|does|did)\s+(you|i|we|he|she|it|they)\s+(.*)$/i;

export function answer(text: string): string {
  const said = text.trim();
  const isQuestion = QUESTION.test(said) || /[吗么呢]$/.test(said);
  if (!isQuestion) return `${said.replace(/[.。!！]+$/, "")}!`;
  const question = said.replace(QUESTION, "").trim();
  return /\p{Script=Han}/u.test(question) ? turnChinese(question) : turnEnglish(question);
}

function turnChinese(question: string): string {
  const turned = question
    .replace(/[吗么呢]$/, "")
    // "是不是", "能不能": the answer is the first half.
    .replace(/(\p{Script=Han})不\1/u, "$1")
    .replaceAll(/[你我]/g, (one) => (one === "你" ? "我" : "你"));
  return `${turned}！`;
}

function turnEnglish(question: string): string {
  const done = DO.exec(question);
  if (done) return sentence(`${subject(done[2]!)} ${objects(done[3]!)}`);
  const inverted = INVERTED.exec(question);
  if (!inverted) return sentence(objects(question));
  const who = subject(inverted[2]!);
  const verb = inverted[1]!.toLowerCase();
  return sentence(`${who} ${VERBS[who]?.[verb] ?? verb} ${objects(inverted[3]!)}`);
}

function subject(word: string): string {
  return SUBJECTS[word.toLowerCase()]!;
}

function objects(rest: string): string {
  return rest.replaceAll(/[a-z]+/gi, (word) => OBJECTS[word.toLowerCase()] ?? word);
}

function sentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}!`;
}
