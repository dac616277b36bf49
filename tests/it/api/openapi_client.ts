// A client whose types are generated from /openapi.json: registers an agent, posts a brief, waits for
// its end and reads the results. node openapi_client.js BASE KEY
import createClient from 'openapi-fetch'
import type { components, paths } from './api.js'

type Workflow = components['schemas']['Workflow']

const [base, key] = (globalThis as unknown as { process: { argv: string[] } }).process.argv.slice(2)
const api = createClient<paths>({ baseUrl: base!, headers: { 'X-API-Key': key! } })

function sure<T>(of: { data?: T; error?: components['schemas']['Problem']; response: Response }): T {
  if (of.data === undefined) throw new Error(`${of.response.status}: ${JSON.stringify(of.error)}`)
  return of.data
}

// A wrong key is a problem with a type.
const stranger = createClient<paths>({ baseUrl: base!, headers: { 'X-API-Key': 'wrong' } })
const refused = await stranger.GET('/agents/')
if (refused.error?.status !== 401) throw new Error('a wrong key is let in')

const agent = sure(await api.POST('/agents/', {
  body: { name: 'api_designer', role: 'Design', description: 'Designs HTTP interfaces', skills: ['openapi'] },
}))
const listed = sure(await api.GET('/agents/'))
if (!listed.some((one) => one.name === agent.name)) throw new Error('the agent is not listed')

const receipt = sure(await api.POST('/orchestrate', {
  body: { job: 'Design a REST API for a library', requires_qa: true, specialists: [agent.name], priority: 'high' },
}))
const path = { workflow_id: receipt.workflow_id }

async function ended(): Promise<Workflow> {
  const deadline = Date.now() + 60_000
  while (Date.now() < deadline) {
    const { workflow } = sure(await api.GET('/workflows/{workflow_id}', { params: { path } }))
    if (workflow.status !== 'running') return workflow
    await new Promise((again) => setTimeout(again, 50))
  }
  throw new Error('the workflow does not end')
}

const workflow = await ended()
const results = sure(await api.GET('/results/workflow/{workflow_id}', { params: { path, query: { limit: 50 } } }))
const calls = sure(await api.GET('/workflows/{workflow_id}/calls', { params: { path } }))
const tokens = calls.calls.reduce((sum, call) => sum + (call.usage?.total_tokens ?? 0), 0)
const verdict = workflow.steps.findLast((step) => step.verdict)?.verdict?.verdict
if (!(tokens > 0)) throw new Error('no tokens were counted')
console.log(`${workflow.status}, ${results.length} results, verdict ${verdict}`)
