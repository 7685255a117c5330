// How many loose calls may be sent again: a share of those that were made, and never more than ten in a row.
import t from 'tap'
import { RetryBudget } from '../../gateway/retry-budget.ts'
import type { Rule } from '../../gateway/route-table.ts'

const route = (match: string) => ({ match }) as unknown as Rule

/** Retries that are left; they are gone then. */
function left(budget: RetryBudget, rule: Rule): number {
  let count = 0
  while (count < 100 && budget.take(rule)) count++
  return count
}

t.test('a route begins with one retry, and each has its own', async (t) => {
  const budget = new RetryBudget()
  const [read, list] = [route('profile.read'), route('profile.list')]
  t.equal(left(budget, read), 1)
  t.equal(left(budget, read), 0)
  t.equal(left(budget, list), 1)
})

t.test('calls earn their share, exactly', async (t) => {
  const budget = new RetryBudget()
  const read = route('profile.read')
  left(budget, read)
  for (let i = 0; i < 3; i++) budget.earn(read, 0.25)
  t.equal(left(budget, read), 0, 'three quarters are none')
  budget.earn(read, 0.25)
  t.equal(left(budget, read), 1)
  for (let i = 0; i < 12; i++) budget.earn(read, 0.25)
  t.equal(left(budget, read), 3)
  for (let i = 0; i < 5; i++) budget.earn(read, 0)
  t.equal(left(budget, read), 0, 'a share of nothing earns nothing')
})

t.test('however many calls go well, ten retries are saved up at most', async (t) => {
  const budget = new RetryBudget()
  const read = route('profile.read')
  for (let i = 0; i < 10_000; i++) budget.earn(read, 1)
  t.equal(left(budget, read), 10)
})
