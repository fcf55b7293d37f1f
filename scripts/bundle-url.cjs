// What import.meta.url is in the bundle, which is CommonJS.
module.exports.__bundleUrl = require('node:url').pathToFileURL(__filename).href;
