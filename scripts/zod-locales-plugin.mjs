/** An esbuild plugin: of the 270 KB of zod's messages in other languages, which nobody asks for, it leaves the English ones. */
export function zodLocales() {
  return {
    name: 'zod-locales',
    setup(build) {
      build.onLoad({ filter: /[\\/]zod[\\/]v4[\\/]locales[\\/]index\.js$/ }, () => ({
        contents: 'export { default as en } from "./en.js";',
        loader: 'js',
      }));
    },
  };
}
