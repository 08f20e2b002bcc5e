/** Which words of a text are words of the query: what the page marks. */

const WORD = /[\p{L}\p{N}\p{M}]+(?:['’][\p{L}\p{M}]+)*/gu;
const UNSPACED =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}]/u;

/** English words that say nothing of what a query is about. */
const STOP = new Set(
  (
    "a about after all also am an and any are aren't as at be because been before being but by " +
    "can can't cannot could couldn't did didn't do does doesn't doing don't each ever every few " +
    "for from get gets getting give given gives got had has have having he her here hers him his " +
    "how i i'd i'll i'm i've if in into is isn't it its it's itself just let like make me more " +
    "most much my myself need needs no nor not of off on once one only or other our out over own " +
    "same she should so some still such than that that's the their them then there these they " +
    "this those through to too under until up us use used using very want wants was wasn't way " +
    "we were what what's when where which while who whom whose why will with without won't would " +
    "yet you your yours"
  ).split(" "),
);

/** A piece of a text, and whether it is to be marked. */
export type Piece = [text: string, marked: boolean];

/** Write a word without case, accents and a possessive's end. */
export function fold(word: string): string {
  const plain = word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replaceAll("’", "'");
  return plain.endsWith("'s") && !STOP.has(plain) ? plain.slice(0, -2) : plain;
}

/** The folded words of a query, those left out that say nothing. */
export function queryWords(query: string): Set<string> {
  const words = [...spans(query)].map(([start, end]) => fold(query.slice(start, end)));
  return new Set(words.filter((word) => word && !STOP.has(word)));
}

/** Cut a text into what is marked and what lies between; together they are the text. */
export function pieces(text: string, words: ReadonlySet<string>): Piece[] {
  const made: Piece[] = [];
  let done = 0;
  for (const [start, end] of words.size > 0 ? spans(text) : []) {
    if (!words.has(fold(text.slice(start, end)))) continue;
    if (start > done) made.push([text.slice(done, start), false]);
    made.push([text.slice(start, end), true]);
    done = end;
  }
  if (done < text.length) made.push([text.slice(done), false]);
  return made;
}

/** Where words begin and end; scripts that write no spaces are cut by the browser's dictionary. */
function* spans(text: string): Generator<[number, number]> {
  for (const match of text.matchAll(WORD)) {
    const [word] = match;
    if (UNSPACED.test(word) && "Segmenter" in Intl) {
      for (const { index, segment } of segmenter().segment(word)) {
        yield [match.index + index, match.index + index + segment.length];
      }
    } else yield [match.index, match.index + word.length];
  }
}

let made: Intl.Segmenter | undefined;
function segmenter(): Intl.Segmenter {
  return (made ??= new Intl.Segmenter(undefined, { granularity: "word" }));
}
