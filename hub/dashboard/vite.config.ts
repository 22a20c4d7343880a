import { rmSync } from "node:fs";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Larger than what it saves is not worth a second copy in the program. */
const smallest = 1024;

/** precompress writes each file in the encodings that the hub serves, beside the file itself. */
function precompress(): Plugin {
  return {
    name: "precompress",
    enforce: "post",
    generateBundle(_, bundle) {
      for (const [fileName, file] of Object.entries(bundle)) {
        const content = Buffer.from(file.type === "chunk" ? file.code : file.source);
        if (content.length < smallest) continue;
        this.emitFile({ type: "asset", fileName: `${fileName}.br`, source: brotliCompressSync(content) });
        this.emitFile({ type: "asset", fileName: `${fileName}.gz`, source: gzipSync(content, { level: 9 }) });
      }
    },
  };
}

/** clean takes the files of the last build away, and leaves dist/.gitignore, without which the hub cannot be built from a clean clone. */
function clean(): Plugin {
  return {
    name: "clean",
    apply: "build",
    buildStart() {
      for (const old of ["assets", "index.html", "index.html.br", "index.html.gz"]) rmSync(`dist/${old}`, { recursive: true, force: true });
    },
  };
}

export default defineConfig({
  plugins: [clean(), precompress()],
  build: {
    target: "es2023",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the policy allows no inline images but flags of CSS
    emptyOutDir: false, // see clean
    reportCompressedSize: false,
  },
});
