// "Did you mean": the nearest of a list of names by Levenshtein distance (two neighbours swapped count once, as in
// `prot`), or none where nothing is near enough to be a slip of the finger.

const WORD_LENGTH_MAX = 64

/** The nearest name within a third of the word's length (one edit from three letters on), ignoring case; the first of equals. */
export function nearest(word: string, names: Iterable<string>): string | undefined {
  if (word.length > WORD_LENGTH_MAX) return undefined
  const farthest = word.length < 3 ? 0 : Math.max(1, Math.floor(word.length / 3))
  let best: string | undefined
  let bestDistance = farthest + 1
  for (const name of names) {
    if (Math.abs(name.length - word.length) >= bestDistance) continue
    const distance = editDistance(word.toLowerCase(), name.toLowerCase())
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions, replacements and swaps of neighbours between two words; three rows at a time. */
export function editDistance(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1, isSwap ? before[j - 2] + 1 : Infinity))
    }
    before = row
    row = next
  }
  return row[b.length]
}
