import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { termWeight } from '../../../encoder/term-weight.ts';
import { activate } from '../../../encoder/training/losses/activation.ts';
import { cosine } from '../../../encoder/training/losses/cosine.ts';
import { flops } from '../../../encoder/training/losses/flops.ts';
import { listwise, targetOf } from '../../../encoder/training/losses/ranking.ts';
import { revival } from '../../../encoder/training/losses/revival.ts';
import { runs } from '../../kernels/helpers.ts';

const test = suite('training: losses');

const number = (low: number, high: number) => fc.double({ min: low, max: high, noNaN: true });
const numbers = (count: number, low: number, high: number) =>
  fc.array(number(low, high), { minLength: count, maxLength: count });

/** Compares each gradient with the central difference of the loss. */
function checkSlopes(values: number[], gradients: ArrayLike<number>, loss: (values: number[]) => number) {
  const step = 1e-6;
  values.forEach((value, i) => {
    const moved = (by: number) => loss(values.map((other, j) => (j === i ? value + by : other)));
    const slope = (moved(step) - moved(-step)) / (2 * step);
    assert.ok(
      Math.abs(slope - gradients[i]!) < 1e-5 * Math.max(1, Math.abs(slope)),
      `number ${i}: ${gradients[i]} instead of ${slope}`,
    );
  });
}

test('KL to a target: its gradient, and 0 where the scores say what the target says', () => {
  fc.assert(
    fc.property(numbers(8, -4, 4), numbers(8, 0.01, 1), (scores, raw) => {
      const rows = (flat: readonly number[]) => [
        Float64Array.from(flat.slice(0, 4)),
        Float64Array.from(flat.slice(4)),
      ];
      const targets = rows(raw).map((row) => row.map((v) => v / row.reduce((sum, w) => sum + w, 0)));
      const { dScores } = listwise(rows(scores), targets);
      checkSlopes(scores, [...dScores[0]!, ...dScores[1]!], (values) => listwise(rows(values), targets).loss);
      const perfect = targets.map((row) => row.map(Math.log));
      assert.ok(Math.abs(listwise(perfect, targets).loss) < 1e-12);
    }),
    runs(40),
  );
});

test('a passage with the score -Infinity takes no part', () => {
  const { loss, dScores } = listwise([Float64Array.of(1, -Infinity, 2)], [Float64Array.of(0.5, 0, 0.5)]);
  assert.ok(Number.isFinite(loss));
  assert.is(dScores[0]![1], 0);
});

test('targets: the first passage without a teacher, else the softmax of scores on any scale', () => {
  assert.equal([...targetOf(3, undefined)], [1, 0, 0]);
  assert.equal([...targetOf(1, [0.3])], [1]);
  assert.equal([...targetOf(2, [5, 5])], [0.5, 0.5]);
  fc.assert(
    fc.property(numbers(5, -3, 3), number(0.1, 100), number(-50, 50), (scores, factor, shift) => {
      const own = targetOf(5, scores);
      assert.ok(Math.abs(own.reduce((sum, share) => sum + share, 0) - 1) < 1e-9);
      if (Math.max(...scores) - Math.min(...scores) < 0.01) return;
      const scaled = targetOf(
        5,
        scores.map((score) => factor * score + shift),
      );
      own.forEach((share, i) => {
        assert.ok(Math.abs(share - scaled[i]!) < 1e-6, 'a teacher may have any scale');
      });
    }),
    runs(60),
  );
});

test('activation: the weight of the product, and both slopes', () => {
  for (const activation of ['log1p', 'log1p2'] as const)
    for (const exponent of [1, 0.8, 1.5]) {
      const weighting = { activation, exponent };
      assert.equal(activate(-0.5, weighting), {
        activation: 0,
        activationSlope: 0,
        weight: 0,
        weightSlope: 0,
      });
      for (const logit of [0.01, 0.3, 2, 9]) {
        const found = activate(logit, weighting);
        assert.is(found.weight, termWeight(logit, weighting));
        checkSlopes([logit], [found.weightSlope], ([x]) => activate(x!, weighting).weight);
        checkSlopes([logit], [found.activationSlope], ([x]) => activate(x!, weighting).activation);
      }
    }
});

test('FLOPS: the definition, its gradient, and the l0 mask', () => {
  fc.assert(
    fc.property(numbers(6, 0.1, 2), fc.option(fc.constantFrom(1, 2), { nil: undefined }), (values, l0) => {
      // Two passages share term 7; the second one has one term more than the first.
      const passages = (all: readonly number[]) => [
        { terms: [2, 7], activations: all.slice(0, 2) },
        { terms: [1, 7, 9], activations: all.slice(2, 5) },
      ];
      const loss = (all: readonly number[]) => flops(passages(all), 10, l0).penalty;
      const { gradients } = flops(passages(values), 10, l0);
      checkSlopes(values.slice(0, 5), [...gradients[0]!, ...gradients[1]!], (all) => loss(all));
      if (l0 !== undefined) return;
      const [a, b, c, d, e] = values as [number, number, number, number, number];
      const definition = (a / 2) ** 2 + ((b + d) / 2) ** 2 + (c / 2) ** 2 + (e / 2) ** 2;
      assert.ok(Math.abs(loss(values) - definition) < 1e-12);
    }),
    runs(40),
  );
  const short = flops([{ terms: [1, 2], activations: [1, 1] }], 5, 2);
  assert.is(short.penalty, 0);
  assert.equal([...short.gradients[0]!], [0, 0]);
});

test('revival: its gradient raises terms that are off, and stays finite far away', () => {
  fc.assert(
    fc.property(numbers(4, -3, 3), numbers(4, 0.1, 5), (logits, importance) => {
      const { gradients } = revival(logits, importance);
      checkSlopes(logits, gradients, (values) => revival(values, importance).loss);
      assert.ok(gradients.every((gradient) => gradient < 0));
    }),
    runs(40),
  );
  const { loss, gradients } = revival([-1000, 1000], [1, 1]);
  assert.is(loss, 500);
  assert.equal([...gradients], [-0.5, -0]);
  assert.is(revival([], []).loss, 0);
});

test('cosine: its gradient by both vectors, and 0 for a vector of length 0', () => {
  fc.assert(
    fc.property(numbers(3, 0.1, 2), numbers(3, -2, -0.1), (a, b) => {
      const { da, db, value } = cosine(a, b);
      assert.ok(value >= -1 - 1e-12 && value <= 1);
      checkSlopes(a, da, (moved) => cosine(moved, b).value);
      checkSlopes(b, db, (moved) => cosine(a, moved).value);
    }),
    runs(40),
  );
  assert.equal(cosine([0, 0], [1, 2]), { value: 0, da: new Float64Array(2), db: new Float64Array(2) });
});

test.run();
