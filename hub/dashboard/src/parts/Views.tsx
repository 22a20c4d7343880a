import { useState } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { place } from "../location";
import { forgetView, saveView, views } from "../views";
import { Menu } from "./Menu";

/** Views are links under names: what is shown now can be kept as one. */
export function Views() {
  const open = useSignal(false);
  const [name, setName] = useState("");
  const save = () => {
    if (!name.trim()) return;
    saveView(name.trim(), location.pathname + location.search);
    setName("");
  };
  const here = place.value.path;
  return (
    <Menu open={open} label="Views">
      {views.value.length > 0 && (
        <ul class="rows kept">
          {views.value.map((v) => (
            <li key={v.name}>
              <a class="link cut" href={v.href} title={v.href} onClick={() => (open.value = false)}>
                {v.name}
              </a>
              <button type="button" class="link" aria-label={`Forget ${v.name}`} onClick={() => forgetView(v.name)}>
                ×
              </button>
            </li>
          ))}
        </ul>
      )}
      <div class="inline">
        <label class="sr" for="view">
          Name of this view
        </label>
        <input
          id="view"
          class="field-in"
          placeholder={here === "/" ? "fleet" : here.slice(1)}
          value={name}
          onInput={(e) => setName(e.currentTarget.value)}
          onKeyDown={(e) => e.key === "Enter" && (e.preventDefault(), save())}
        />
        <button type="button" class="btn" onClick={save}>
          Keep
        </button>
      </div>
      <p class="dim">In this browser only. To share a view, share its link.</p>
    </Menu>
  );
}
