-- What a user of Neovim does with a source, and what it shows: one line of JSON for each step.
local path = os.getenv("SOURCE")
local function say(step, value)
  io.stdout:write(vim.fn.json_encode({ step = step, value = value }) .. "\n")
end
local function diagnostics()
  return vim.tbl_map(function(one)
    return { lnum = one.lnum, col = one.col, end_col = one.end_col, message = one.message, source = one.source }
  end, vim.diagnostic.get(0))
end
local function hover(word)
  vim.fn.cursor(1, 1)
  vim.fn.search(word)
  local params = vim.lsp.util.make_position_params(0, "utf-16")
  local answers = vim.lsp.buf_request_sync(0, "textDocument/hover", params, 20000) or {}
  for _, answer in pairs(answers) do
    if answer.result then return answer.result.contents.value end
  end
  return ""
end

local ok, problem = pcall(function()
  vim.cmd("edit " .. path)
  vim.cmd("setfiletype c")
  vim.wait(40000, function() return #vim.diagnostic.get(0) > 0 end)
  say("refused", diagnostics())
  say("hover of the refused", hover("count("))
  vim.cmd([[%s/\*value += 1/if (value) &/]])
  vim.cmd("write")
  vim.wait(40000, function() return #vim.diagnostic.get(0) == 0 end)
  say("fixed", diagnostics())
  say("hover of the fixed", hover("count("))
  local document = { textDocument = vim.lsp.util.make_text_document_params() }
  local lenses = {}
  for _, answer in pairs(vim.lsp.buf_request_sync(0, "textDocument/codeLens", document, 20000) or {}) do
    vim.list_extend(lenses, answer.result or {})
  end
  say("lenses", vim.tbl_map(function(lens) return lens.command.title end, lenses))
  for _, answer in pairs(vim.lsp.buf_request_sync(0, "workspace/executeCommand", lenses[1].command, 40000) or {}) do
    say("the first lens", answer.result or answer.error or answer.err)
  end
end)
if not ok then say("failed", problem) end
vim.cmd("qa!")
