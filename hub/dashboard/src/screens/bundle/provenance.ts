// Where a revision comes from, in short.

/** How much of a commit or a digest tells it from others, in letters. */
const short = 12;

/** brief is a commit's or a digest's beginning; which hash it is by is said by neither. */
export const brief = (hash: string): string => hash.replace(/^sha256:/, "").slice(0, short);

/** signerOf reads whose signature the hub has checked: a name, and their key's fingerprint, as in "ada@example.com SHA256:…". Names may have spaces. */
export function signerOf(text: string): { name: string; fingerprint: string } {
  const at = text.lastIndexOf(" ");
  return { name: text.slice(0, Math.max(at, 0)), fingerprint: text.slice(at + 1) };
}
