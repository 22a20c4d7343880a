import { useState } from "preact/hooks";

/** How long a button says that it has copied, in milliseconds. */
const shown = 1500;

/** Copy puts a text on the clipboard. */
export function Copy({ text, label = "copy" }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), shown);
  };
  return (
    <button class="link copy" onClick={copy}>
      {copied ? "copied" : label}
    </button>
  );
}
