import { useEffect, useRef, useState } from "preact/hooks";
import { both, terms, understand } from "../filter";
import { setParam } from "../location";
import { Views } from "./Views";

/** Filter shows the terms that narrow a list, and takes more; a word alone is looked for in the field bare. "/" goes there. */
export function Filter({ filter, hint, failure, bare = "name" }: { filter: string; hint: string; failure?: string | undefined; bare?: string }) {
  const [text, setText] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (failure) input.current?.focus();
  }, [failure]);
  const add = (e: SubmitEvent) => {
    e.preventDefault();
    if (!text.trim()) return;
    setParam("filter", both(filter, understand(text, bare)));
    setText("");
  };
  const remove = (term: string) => {
    setParam("filter", terms(filter).filter((t) => t !== term).join(","));
    input.current?.focus(); // the button goes
  };
  const keys = (e: KeyboardEvent) => {
    if (e.key === "Backspace" && text === "" && filter) setParam("filter", terms(filter).slice(0, -1).join(","));
    if (e.key === "Escape") input.current?.blur();
  };
  return (
    <div class="search">
      <form role="search" onSubmit={add}>
        <div class="filter">
          {terms(filter).map((term) => (
            <span key={term} class="token">
              {term}
              <button
                type="button"
                aria-label={`Remove ${term}`}
                onClick={() => remove(term)}
              >
                ×
              </button>
            </span>
          ))}
          <label class="sr" for="filter">
            Filter
          </label>
          <input
            id="filter"
            ref={input}
            value={text}
            placeholder={filter ? "and …" : hint}
            autocomplete="off"
            spellcheck={false}
            onInput={(e) => setText(e.currentTarget.value)}
            onKeyDown={keys}
          />
        </div>
        {failure && (
          <p class="msg" role="alert">
            {failure}
          </p>
        )}
      </form>
      {/* Beside the form: Enter sends one that has a single field. */}
      <Views />
    </div>
  );
}
