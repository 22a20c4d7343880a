import { useState } from "preact/hooks";

/** How long a button says that it has copied, in milliseconds. */
const shown = 1500;

/** Copy puts a text on the clipboard, also by a key. */
export function Copy({ text, shortcut }: { text: string; shortcut?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), shown);
  };
  return (
    <button type="button" class="link copy" data-key={shortcut} onClick={() => void copy()}>
      {copied ? "copied" : "copy"}
    </button>
  );
}
