import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkObjectKey, compareKeys } from '../../node-runtime/objects/object-key.ts';
import { folderPath, objectPath, parseEntry } from '../../node-runtime/objects/object-path.ts';

const segment = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 60 })
  .filter(text => !/[/\u0000-\u001f\u007f]|^\.\.?$/.test(text));
const key = fc.array(segment, { minLength: 1, maxLength: 5 }).map(parts => parts.join('/'));

test('a key becomes a path that reads like it', () => {
  assert.equal(objectPath('acme/ci/log.json'), 'acme+/ci+/log.json');
  assert.equal(folderPath('acme/ci/'), 'acme+/ci+');
  assert.equal(folderPath(''), '');
});

test('every key that is allowed has a path of its own, below the root, with names that any file system takes', () => {
  fc.assert(
    fc.property(key, key, (one, other) => {
      checkObjectKey(one);
      for (const name of objectPath(one).split('/')) {
        assert.ok(name !== '' && name !== '.' && name !== '..' && name.length <= 255, name);
        assert.match(name, /^[\x21-\x7e]+$/);
      }
      assert.equal(objectPath(one) === objectPath(other), one === other);
    }),
  );
});

test('the last name of a path gives back the last part of the key', () => {
  fc.assert(
    fc.property(segment, part => {
      const names = objectPath(part).split('/');
      const encoded = names.map(name => name.replace(/=$/, '')).join('');
      assert.deepEqual(parseEntry(encoded), { kind: 'object', name: part });
      assert.deepEqual(parseEntry(`${encoded}+`), { kind: 'folder', name: part });
    }),
  );
});

test('names that this store did not make are no entries', () => {
  for (const name of ['100%', 'a b', 'é', '%61', 'a%2f']) assert.equal(parseEntry(name), undefined, name);
});

test('keys are compared by their bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (one, other) => {
      assert.equal(Math.sign(compareKeys(one, other)), Buffer.compare(Buffer.from(one), Buffer.from(other)));
    }),
  );
  assert.ok(compareKeys('\uffee', '🙂') < 0);
});
