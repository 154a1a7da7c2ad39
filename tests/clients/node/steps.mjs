// What every Node.js client does; the arguments are those of python/steps.py.

const [url, key, step, token] = process.argv.slice(2);

async function calls(client) {
  const tools = (await client.tools()).sort();
  for (let number = 0; number < 30; number++) {
    const said = await client.call('echo', {text: `n${number}`});
    if (said !== `n${number}`) throw new Error(`wrong answer: ${said}`);
  }
  const texts = Array.from({length: 10}, (_, number) => `p${number}`);
  const said = await Promise.all(texts.map(text => client.call('echo', {text})));
  if (said.join() !== texts.join()) throw new Error(`wrong answers: ${said}`);
  return {tools, revision: client.revision()};
}

async function cancel(client) {
  const abort = new AbortController();
  setTimeout(() => abort.abort('no longer needed'), 1000);
  await client.call('wait', {seconds: 60, token}, abort.signal).then(
    () => { throw new Error('the call was answered'); },
    () => {},
  );
  return {afterwards: await client.call('echo', {text: 'still here'})};
}

async function done(connect) {
  const client = await connect(url, key);
  switch (step) {
    case 'calls': return calls(client);
    case 'long': return {said: await client.call('wait', {seconds: Number(process.env.SECONDS), token})};
    case 'cancel': return cancel(client);
    default: await client.tools(); return {connected: true};
  }
}

// Of a call that takes long, the SDK's own limit of a minute is not what is looked at.
export const patience = {timeout: 180_000};

export function text(result) {
  if (result.isError) throw new Error(result.content[0].text);
  return result.content[0].text;
}

export async function run(connect) {
  let result;
  try {
    result = await done(connect);
  } catch (error) {
    console.error(error);
    result = {error: `${error.name}: ${error.message}`};
  }
  process.stdout.write(JSON.stringify(result) + '\n', () => process.exit(0));
}
