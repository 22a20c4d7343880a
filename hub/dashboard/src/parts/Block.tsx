import type { ComponentChildren } from "preact";

interface Props {
  title: string;
  n?: ComponentChildren;
  act?: ComponentChildren;
  className?: string;
  children: ComponentChildren;
}

/** Block hangs from a rule: a heading, what can be done, and what there is. */
export const Block = ({ title, n, act, className = "", children }: Props) => (
  <section class={`hung ${className}`} aria-label={title}>
    <header>
      <h2>
        {title} {n !== undefined && <span class="n">{n}</span>}
      </h2>
      {act && <div class="act">{act}</div>}
    </header>
    {children}
  </section>
);
