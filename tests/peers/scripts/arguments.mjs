// What our test tells a script: URL VERSION CA [CONVERSATION...]. What became of
// each conversation is printed as a line of JSON.
const args = globalThis.Deno?.args ?? process.argv.slice(2);

export const [url, version, ca, ...only] = args;
export const report = (result) => console.log(JSON.stringify(result));
